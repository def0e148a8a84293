"""Formats of texts that schemas can name, beyond those that the validator checks itself. Pure.

`docs/reference/formats.md` says the same for people. The standard formats of dates and
times are defined anew, since the validator takes texts that decoders of many languages refuse:
a leap second, the year 0, a duration of months.
"""

import re
from binascii import a2b_base64
from collections.abc import Callable
from datetime import date

_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
_ZONE = "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
# Decoders that round to microseconds would leave the last year.
_LAST = r"(?!9999-12-31T23:59:59\.[0-9]{7})"

_ONLY_DATE = re.compile(_DATE)
_DATE_TIME = re.compile(f"{_LAST}{_DATE}T{_TIME}{_ZONE}")
_LOCAL_DATE_TIME = re.compile(f"{_LAST}{_DATE}T{_TIME}")
_ZONED_TIME = re.compile(_TIME + _ZONE)
_LOCAL_TIME = re.compile(_TIME)
_DURATION = re.compile(
    r"-?P(?=[0-9T])(?:([0-9]{1,9})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})(?:\.[0-9]{1,9})?S)?)?"
)
#: What a Python timedelta holds, and what Pydantic reads next to the days.
_MAX_SECONDS, _MAX_TIME_SECONDS = 999_999_999 * 86_400, 2**32
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")


def _is_date(text: str) -> bool:
    return _ONLY_DATE.fullmatch(text) is not None and _is_in_calendar(text)


def _is_date_time(text: str) -> bool:
    return _DATE_TIME.fullmatch(text) is not None and _is_in_calendar(text[:10])


def _is_local_date_time(text: str) -> bool:
    return _LOCAL_DATE_TIME.fullmatch(text) is not None and _is_in_calendar(text[:10])


def _is_in_calendar(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_time(text: str) -> bool:
    return _ZONED_TIME.fullmatch(text) is not None


def _is_local_time(text: str) -> bool:
    return _LOCAL_TIME.fullmatch(text) is not None


def _is_duration(text: str) -> bool:
    match = _DURATION.fullmatch(text)
    if match is None:
        return False
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    time_seconds = hours * 3600 + minutes * 60 + seconds
    return time_seconds < _MAX_TIME_SECONDS and days * 86_400 + time_seconds < _MAX_SECONDS


def _is_decimal(text: str) -> bool:
    return _DECIMAL.fullmatch(text) is not None


def _is_base64(text: str) -> bool:
    # Faster than a pattern, and tolerant of padding only.
    if len(text) % 4 or text.endswith("==="):
        return False
    try:
        a2b_base64(text, strict_mode=True)
    except ValueError:
        return False
    return True


#: By name. Those that JSON Schema does not know are of the OpenAPI Format Registry.
FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _is_date,
    "date-time": _is_date_time,
    "date-time-local": _is_local_date_time,
    "time": _is_time,
    "time-local": _is_local_time,
    "duration": _is_duration,
    "decimal": _is_decimal,
    "byte": _is_base64,
}
