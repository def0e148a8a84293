"""The checks that recur: each names the path, and none lets a bad value through."""

import re
from datetime import UTC, datetime
from uuid import UUID

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.api.convert.defects import Defects
from jobsvc.errors import InvalidRequest, Violation

INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)


def fields(defects: Defects) -> list[str]:
    return [violation.field for violation in defects.violations]


@pytest.mark.parametrize("name", ["a", "q1", "news-analyzer", "a" * 63, "a--b"])
def test_good_queue_name_passes(name: str) -> None:
    defects = Defects()
    assert defects.queue("queue", name) == name
    assert fields(defects) == []


@pytest.mark.parametrize(
    "name", ["", "1a", "-a", "a-", "A", "a_b", "a b", "a\n", "ä", "a" * 64, "'; DROP", "a\0"]
)
def test_bad_queue_name_is_named(name: str) -> None:
    defects = Defects()
    defects.queue("spec.queue", name)
    assert fields(defects) == ["spec.queue"]


@given(st.uuids())
def test_every_uuid_passes_in_its_canonical_form_only(value: UUID) -> None:
    defects = Defects()
    assert defects.uuid("id", str(value)) == str(value)
    assert fields(defects) == []
    for other in (value.hex, f"{{{value}}}", value.urn, f"{value} ", f"{value}\n"):
        defects.uuid("id", other)
    assert len(fields(defects)) == 5


@pytest.mark.parametrize("text", ["", "0190A1B2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "' OR 1=1", "\0"])
def test_bad_uuid_is_named(text: str) -> None:
    defects = Defects()
    defects.uuid("job_id", text)
    assert fields(defects) == ["job_id"]


@given(INT32, INT32, INT32)
def test_number_passes_within_its_range_only(value: int, one: int, other: int) -> None:
    least, most = sorted((one, other))
    defects = Defects()
    defects.number("n", value, least, most)
    assert (fields(defects) == []) == (least <= value <= most)


@given(st.floats())
def test_factor_is_finite_and_not_negative(value: float) -> None:
    defects = Defects()
    defects.factor("f", value, 10)
    assert (fields(defects) == []) == (0 <= value <= 10)


@given(st.text(max_size=12))
def test_text_is_bounded_and_storable(value: str) -> None:
    defects = Defects()
    defects.text("t", value, 10, 1)
    assert (fields(defects) == []) == (1 <= len(value) <= 10 and "\0" not in value)


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=5))
def test_mapping_is_bounded_and_storable(values: dict[str, str]) -> None:
    defects, key = Defects(), re.compile("[a-z]+")
    taken = defects.mapping("labels", values, 3, key, most_value=2)
    good = len(values) <= 3 and all(
        key.fullmatch(k) and len(v) <= 2 and "\0" not in v for k, v in values.items()
    )
    assert (fields(defects) == []) == good
    assert all(field.startswith("labels") for field in fields(defects))
    if good:
        assert taken == values


def test_key_without_a_pattern_is_bounded_too() -> None:
    defects = Defects()
    defects.mapping("m", {"": "a", "x" * 256: "b", "\0": "c", "fine": "d"}, 9)
    assert len(fields(defects)) == 3


@pytest.mark.parametrize("count", range(4))
def test_list_is_bounded(count: int) -> None:
    defects = Defects()
    defects.count("items", [None] * count, 1, 2)
    assert (fields(defects) == []) == (count in (1, 2))


def test_unknown_enum_value_is_named() -> None:
    defects = Defects()
    assert defects.enum("view", 1, [0, 1]) == 1
    defects.enum("view", 99, [0, 1])
    assert fields(defects) == ["view"]


@given(INT64, INT32)
def test_any_duration_is_in_range_or_named(seconds: int, nanos: int) -> None:
    defects = Defects()
    value = defects.seconds("d", Duration(seconds=seconds, nanos=nanos), 1, 3600)
    if not fields(defects):
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
    defects = Defects()
    defects.seconds("d", Duration(seconds=seconds, nanos=nanos))
    assert (fields(defects) == []) == good


@given(INT64 | st.integers(-62_135_596_800, 253_402_300_799), INT32 | st.integers(0, 999_999_999))
def test_any_timestamp_is_a_time_or_named(seconds: int, nanos: int) -> None:
    defects = Defects()
    value = defects.time("t", Timestamp(seconds=seconds, nanos=nanos))
    assert value.tzinfo is UTC
    inside = -62_135_596_800 <= seconds <= 253_402_300_799 and 0 <= nanos < 1_000_000_000
    assert (fields(defects) == []) == inside


@given(st.datetimes(timezones=st.just(UTC)))
def test_time_is_taken_to_the_microsecond(value: datetime) -> None:
    sent = Timestamp()
    sent.FromDatetime(value)
    assert Defects().time("t", sent) == value


def test_check_raises_all_that_was_found() -> None:
    defects = Defects()
    defects.check()
    defects.add("a", "is wrong")
    defects.add("b", "is missing")
    with pytest.raises(InvalidRequest) as refused:
        defects.check()
    assert refused.value.violations == [
        Violation("a", "is wrong"),
        Violation("b", "is missing"),
    ]
    assert refused.value.message == "a: is wrong"
