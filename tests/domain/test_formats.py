"""Formats that schemas can name: what each takes, and that decoders take it as well."""

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobsvc.domain.formats import FORMATS
from jobsvc.domain.schema import Schema

_PAGE = Path(__file__).parents[2] / "docs/reference/formats.md"

#: Each with texts that it takes and texts that it refuses.
_TEXTS: dict[str, tuple[list[str], list[str]]] = {
    "date": (
        ["2026-02-28", "2024-02-29", "0001-01-01", "9999-12-31"],
        ["yesterday", "2026-02-29", "0000-01-01", "20260228", "2026-W01-1", "2026-2-8", ""],
    ),
    "date-time": (
        ["2026-02-28T23:59:59Z", "2026-02-28T00:00:00.123456789-23:59", "9999-12-31T23:59:59.9Z"],
        [
            "yesterday",
            "2026-02-29T00:00:00Z",
            "2016-12-31T23:59:60Z",
            "2026-02-28T24:00:00Z",
            "0000-01-01T00:00:00Z",
            "2026-02-28T00:00:00",
            "2026-02-28 00:00:00Z",
            "2026-02-28t00:00:00z",
            "2026-02-28T00:00:00+0100",
            "2026-02-28T00:00:00+24:00",
            "2026-02-28T00:00Z",
            "2026-02-28T00:00:00.Z",
            "9999-12-31T23:59:59.9999999Z",
            "2026-02-28T00:00:00Z\n",
            "\u0662026-02-28T00:00:00Z",
        ],
    ),
    "date-time-local": (
        ["2026-02-28T23:59:59", "2026-02-28T00:00:00.123456789"],
        ["2026-02-28T23:59:59Z", "2026-02-29T00:00:00", "2026-02-28", "noon"],
    ),
    "time": (
        ["00:00:00Z", "23:59:59.123456789+05:30"],
        ["00:00:00", "23:59:60Z", "24:00:00Z", "00:00Z", "5 min"],
    ),
    "time-local": (["00:00:00", "23:59:59.5"], ["00:00:00Z", "24:00:00", "00:00"]),
    "duration": (
        ["P1D", "-P1D", "PT1H2M3.5S", "P0D", "PT300S", "P999999998DT23H"],
        [
            "5 min",
            "P",
            "PT",
            "P1DT",
            "P1Y",
            "P1M",
            "P1W",
            "P1.5D",
            "PT1S1H",
            "+P1D",
            "P999999999D",
            "PT4294967296S",
            "PT\u0661S",
        ],
    ),
    "decimal": (
        ["1", "-0.50", "19.99", "1E+5", "12e-4"],
        [
            "abc",
            "",
            "-",
            "+1",
            ".5",
            "1.",
            " 1",
            "NaN",
            "Infinity",
            "1_0",
            "1,5",
            "1e10000",
            "\u0661",
        ],
    ),
    "byte": (
        ["", "AA==", "AAA=", "AA+/"],
        [
            "%%%",
            "AA",
            "AA=",
            "A_==",
            "AAAA\n",
            "A A=",
            "AA==AA==",
            "====",
            "AAAA==",
            "AAAA====",
            "AAA==",
            "ä===",
        ],
    ),
    "uuid": (
        ["12345678-1234-1234-1234-1234567890ab", "12345678-1234-1234-1234-1234567890AB"],
        ["x", "123456781234123412341234567890ab", "{12345678-1234-1234-1234-1234567890ab}"],
    ),
}

#: The Python type for each.
_TYPES: dict[str, Any] = {
    "date": date,
    "date-time": Annotated[datetime, msgspec.Meta(tz=True)],
    "date-time-local": Annotated[datetime, msgspec.Meta(tz=False)],
    "time": Annotated[time, msgspec.Meta(tz=True)],
    "time-local": Annotated[time, msgspec.Meta(tz=False)],
    "duration": timedelta,
    "decimal": Decimal,
    "byte": bytes,
    "uuid": UUID,
}


_SCHEMAS = {
    name: Schema(f'{{"properties": {{"a": {{"format": "{name}"}}}}}}')
    for name in (*_TYPES, "email", "int32", "no-such-format")
}


def _takes(name: str, value: Any) -> bool:
    return not _SCHEMAS[name].violations({"a": value}, "input")


@pytest.mark.parametrize("name", _TEXTS)
def test_format_takes_and_refuses(name: str) -> None:
    good, bad = _TEXTS[name]
    assert [text for text in good if not _takes(name, text)] == []
    assert [text for text in bad if _takes(name, text)] == []
    assert _takes(name, 5), "a format is about texts"


def test_page_lists_the_formats() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", _PAGE.read_text().split("## ")[1], re.MULTILINE)
    assert rows == list(FORMATS)


def test_standard_formats_are_asserted_and_unknown_ones_say_nothing() -> None:
    (violation,) = _SCHEMAS["email"].violations({"a": "nobody"}, "input")
    assert violation.field == "input.a"
    assert _takes("int32", "yesterday")
    assert _takes("no-such-format", "yesterday")


_WRITTEN = st.one_of(
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.times(),
    st.times(timezones=st.just(timezone(timedelta(hours=5, minutes=30)))),
    st.timedeltas(),
    st.decimals(),
    st.binary(),
    st.uuids(),
).map(msgspec.to_builtins)


@given(_WRITTEN, st.integers(0, 40), st.text("0123456789:-+.,eETZtzPDHMSYW=/_ \nA", max_size=3))
def test_what_a_format_takes_the_decoder_of_its_type_takes(text: str, at: int, other: str) -> None:
    for near in (text, text[:at] + other + text[at:], text[:at] + other + text[at + 1 :]):
        for name, kind in _TYPES.items():
            if _takes(name, near):
                msgspec.convert(near, kind)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("date", st.dates()),
        ("date-time", st.datetimes(timezones=st.timezones())),
        ("date-time-local", st.datetimes()),
        ("time", st.times(timezones=st.just(UTC))),
        ("time-local", st.times()),
        ("duration", st.timedeltas(timedelta(-999_999_998), timedelta(999_999_998))),
        ("decimal", st.decimals(allow_nan=False, allow_infinity=False)),
        ("byte", st.binary()),
        ("uuid", st.uuids()),
    ],
)
@settings(max_examples=30)
@given(st.data())
def test_what_python_writes_has_the_format(
    name: str, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    text = msgspec.to_builtins(data.draw(values))
    assert _takes(name, text), text
