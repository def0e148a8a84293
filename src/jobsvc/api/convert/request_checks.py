"""Checks of request fields that recur. They collect violations, each with the path of its field."""

import math
import re
from collections.abc import Mapping, Sequence, Sized
from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.limits import MAX_SECONDS
from jobsvc.domain.payload import MAX_LEVELS
from jobsvc.plain_text import has_controls, lines

#: Of a message; the parser does not say why. One level of a Struct is three messages.
UNDECODABLE = (
    "cannot be decoded: it is malformed, or nests deeper than 100 messages"
    f" (a payload may nest {MAX_LEVELS} levels)"
)
QUEUE_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

#: The first and the last moment of a datetime stand for the infinities in PostgreSQL.
_FIRST_TIME = datetime.min.replace(tzinfo=UTC) + timedelta(microseconds=1)
_LAST_TIME = datetime.max.replace(tzinfo=UTC) - timedelta(microseconds=1)
_NO_TIME = Timestamp()


class RequestChecks:
    """The violations of one request.

    A check returns the value it was given. A check that fails adds a violation, and its value is of
    no use: `raise_if_violated` must come before it is used.
    """

    def __init__(self) -> None:
        self.violations: list[Violation] = []

    def add(self, field: str, description: str) -> None:
        """Adds a violation."""
        self.violations.append(Violation(field, description))

    def raise_if_violated(self) -> None:
        """Must follow the last check.

        Raises:
            InvalidRequest: a check has failed.
        """
        if self.violations:
            raise InvalidRequest(self.violations)

    def queue(self, field: str, name: str) -> str:
        """Checks a queue name."""
        if not QUEUE_NAME.fullmatch(name):
            self.add(
                field,
                "must be 1 to 63 lower-case letters, digits and hyphens,"
                " starting with a letter and not ending with a hyphen",
            )
        return name

    def uuid(self, field: str, text: str) -> str:
        """Checks that a text is a UUID in canonical form."""
        if not _UUID.fullmatch(text):
            self.add(field, "must be a UUID in canonical lower-case form")
        return text

    def number(self, field: str, value: int, minimum: int, maximum: int) -> int:
        """Checks that a whole number is in a range."""
        if not minimum <= value <= maximum:
            self.add(field, f"must be between {minimum} and {maximum}, not {value}")
        return value

    def factor(self, field: str, value: float, maximum: float) -> float:
        """Checks that a number is finite, and from 0 to `maximum`."""
        if not (math.isfinite(value) and 0 <= value <= maximum):
            self.add(field, f"must be between 0 and {maximum:g}")
        return value

    def text(self, field: str, value: str, max_length: int, min_length: int = 0) -> str:
        """Checks that a text is a plain one, and how many characters it has."""
        if not min_length <= len(value) <= max_length:
            self.add(field, f"must have {min_length} to {max_length} characters, not {len(value)}")
        elif has_controls(value):
            self.add(field, "must not hold control characters")
        return value

    def words(self, field: str, value: str, max_length: int) -> str:
        """Checks how many characters a worker's text about an attempt has, and returns it with
        control characters escaped, except for line breaks and tabs: they cost no outcome."""
        if len(value) > max_length:
            self.add(field, f"must have at most {max_length} characters, not {len(value)}")
        return lines(value)

    def count(self, field: str, items: Sized, minimum: int, maximum: int) -> None:
        """Checks how many items a list has."""
        if not minimum <= len(items) <= maximum:
            self.add(field, f"must have {minimum} to {maximum} items, not {len(items)}")

    def enum(self, field: str, value: int, known: Sequence[int]) -> int:
        """Checks that an enum has a value."""
        if value not in known:
            self.add(field, f"unknown value {value}")
        return value

    def mapping(
        self,
        field: str,
        values: Mapping[str, str],
        max_entries: int,
        key: re.Pattern[str] | None = None,
        max_value_length: int = 255,
    ) -> dict[str, str]:
        """Checks the keys and values of a map, and how many entries it has."""
        if len(values) > max_entries:
            self.add(field, f"must have at most {max_entries} entries, not {len(values)}")
            return {}
        found = dict(values)
        for name, value in found.items():
            if key is not None and not key.fullmatch(name):
                self.add(f"{field}[{name[:80]!r}]", f"the key must match ^{key.pattern}$")
            elif key is None:
                self.text(f"{field}[{name[:80]!r}]", name, 255, 1)
            if len(value) > max_value_length or has_controls(value):
                self.text(f"{field}[{name[:80]!r}]", value, max_value_length)
        return found

    def seconds(
        self, field: str, value: Duration, minimum: float = 0, maximum: float = MAX_SECONDS
    ) -> float:
        """Checks that a duration is in a range of seconds, and returns its seconds."""
        seconds = value.seconds + value.nanos / 1e9
        if abs(value.nanos) >= 1_000_000_000 or value.seconds * value.nanos < 0:
            self.add(field, "is not a valid duration")
        elif not minimum <= seconds <= maximum:
            self.add(field, f"must be between {minimum:g} and {maximum:g} seconds, not {seconds:g}")
        return seconds

    def time(self, field: str, value: Timestamp) -> datetime:
        """Checks a point in time, and returns it to the microsecond."""
        try:
            return min(max(value.ToDatetime(tzinfo=UTC), _FIRST_TIME), _LAST_TIME)
        except (ValueError, OverflowError):
            self.add(field, "is not a valid timestamp")
            return datetime.now(UTC)

    def set_time(self, field: str, value: Timestamp) -> datetime:
        """As `time`, for a time that a caller chose: 1970 is the trace of a library that dropped
        the value, as protobuf for JavaScript drops a Date."""
        if value == _NO_TIME:
            self.add(
                field,
                "is exactly 0 (1970): the caller's library has dropped its value; set `seconds`,"
                " or leave the field out",
            )
        return self.time(field, value)
