"""The checks that recur: each names the path, and none lets a bad value through."""

import re
import unicodedata
from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.domain.errors import InvalidRequest, Violation

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)


def fields(checks: RequestChecks) -> list[str]:
    return [violation.field for violation in checks.violations]


@pytest.mark.parametrize("name", ["a", "q1", "news-analyzer", "a" * 63, "a--b"])
def test_good_queue_name_passes(name: str) -> None:
    checks = RequestChecks()
    assert checks.queue("queue", name) == name
    assert fields(checks) == []


@pytest.mark.parametrize(
    "name", ["", "1a", "-a", "a-", "A", "a_b", "a b", "a\n", "ä", "a" * 64, "'; DROP", "a\0"]
)
def test_bad_queue_name_is_named(name: str) -> None:
    checks = RequestChecks()
    checks.queue("spec.queue", name)
    assert fields(checks) == ["spec.queue"]


@given(st.uuids())
def test_every_uuid_passes_in_its_canonical_form_only(value: UUID) -> None:
    checks = RequestChecks()
    assert checks.uuid("id", str(value)) == str(value)
    assert fields(checks) == []
    for other in (value.hex, f"{{{value}}}", value.urn, f"{value} ", f"{value}\n"):
        checks.uuid("id", other)
    assert len(fields(checks)) == 5


@pytest.mark.parametrize("text", ["", "0190A1B2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "' OR 1=1", "\0"])
def test_bad_uuid_is_named(text: str) -> None:
    checks = RequestChecks()
    checks.uuid("job_id", text)
    assert fields(checks) == ["job_id"]


@given(INT32, INT32, INT32)
def test_number_passes_within_its_range_only(value: int, one: int, other: int) -> None:
    least, most = sorted((one, other))
    checks = RequestChecks()
    checks.number("n", value, least, most)
    assert (fields(checks) == []) == (least <= value <= most)


@given(st.floats())
def test_factor_is_finite_and_not_negative(value: float) -> None:
    checks = RequestChecks()
    checks.factor("f", value, 10)
    assert (fields(checks) == []) == (0 <= value <= 10)


def _plain(text: str) -> bool:
    """No control characters, nor what ends a line."""
    return not any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text)


@given(st.text(max_size=12))
def test_text_is_bounded_and_plain(value: str) -> None:
    checks = RequestChecks()
    checks.text("t", value, 10, 1)
    assert (fields(checks) == []) == (1 <= len(value) <= 10 and _plain(value))


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=5))
def test_mapping_is_bounded_and_plain(values: dict[str, str]) -> None:
    checks, key = RequestChecks(), re.compile("[a-z]+")
    taken = checks.mapping("labels", values, 3, key, max_value_length=2)
    good = len(values) <= 3 and all(
        key.fullmatch(k) and len(v) <= 2 and _plain(v) for k, v in values.items()
    )
    assert (fields(checks) == []) == good
    assert all(field.startswith("labels") for field in fields(checks))
    if good:
        assert taken == values


def test_key_without_a_pattern_is_bounded_too() -> None:
    checks = RequestChecks()
    checks.mapping("m", {"": "a", "x" * 256: "b", "\0": "c", "fine": "d"}, 9)
    assert len(fields(checks)) == 3


@pytest.mark.parametrize("count", range(4))
def test_list_is_bounded(count: int) -> None:
    checks = RequestChecks()
    checks.count("items", [None] * count, 1, 2)
    assert (fields(checks) == []) == (count in (1, 2))


def test_unknown_enum_value_is_named() -> None:
    checks = RequestChecks()
    assert checks.enum("view", 1, [0, 1]) == 1
    checks.enum("view", 99, [0, 1])
    assert fields(checks) == ["view"]


@given(INT64, INT32)
def test_any_duration_is_in_range_or_named(seconds: int, nanos: int) -> None:
    checks = RequestChecks()
    value = checks.seconds("d", Duration(seconds=seconds, nanos=nanos), 1, 3600)
    if not fields(checks):
        assert 1 <= value <= 3600
        assert abs(nanos) < 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "nanos", "good"),
    [
        (0, 0, True),
        (0, 999_999_999, True),
        (0, 1_000_000_000, False),
        (-1, 0, False),
        (0, -1, False),
        (1, -1, False),
        (-1, 1, False),
        (100 * 366 * 86_400, 0, False),
        (2**63 - 1, 0, False),
        (-(2**63), -(2**31), False),
    ],
)
def test_duration_has_bounds_of_its_own(seconds: int, nanos: int, good: bool) -> None:
    checks = RequestChecks()
    checks.seconds("d", Duration(seconds=seconds, nanos=nanos))
    assert (fields(checks) == []) == good


@given(INT64 | st.integers(-62_135_596_800, 253_402_300_799), INT32 | st.integers(0, 999_999_999))
def test_any_timestamp_is_a_time_or_named(seconds: int, nanos: int) -> None:
    checks = RequestChecks()
    value = checks.time("t", Timestamp(seconds=seconds, nanos=nanos))
    assert value.tzinfo is UTC
    inside = -62_135_596_800 <= seconds <= 253_402_300_799 and 0 <= nanos < 1_000_000_000
    assert (fields(checks) == []) == inside


@given(st.datetimes(timezones=st.just(UTC)))
def test_time_is_taken_to_the_microsecond(value: datetime) -> None:
    sent = Timestamp()
    sent.FromDatetime(value)
    assert RequestChecks().time("t", sent) == value


def test_check_raises_all_that_was_found() -> None:
    checks = RequestChecks()
    checks.raise_if_violated()
    checks.add("a", "is wrong")
    checks.add("b", "is missing")
    with pytest.raises(InvalidRequest) as refused:
        checks.raise_if_violated()
    assert refused.value.violations == [
        Violation("a", "is wrong"),
        Violation("b", "is missing"),
    ]
    assert refused.value.message == "a: is wrong"
