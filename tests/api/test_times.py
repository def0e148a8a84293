"""Durations as they are sent."""

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.times import duration


@given(st.integers(0, 10**9 * 10**6))
def test_duration_survives_the_way_there_and_back(micros: int) -> None:
    seconds = micros / 1e6
    checks = RequestChecks()
    assert checks.seconds("d", duration(seconds)) == pytest.approx(seconds, abs=1e-6)
    assert checks.violations == []


@given(st.floats(-1e15, 0))
def test_negative_time_left_is_none(seconds: float) -> None:
    assert duration(seconds) == Duration()


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (1.5, Duration(seconds=1, nanos=500_000_000)),
        (0.9999999, Duration(seconds=1)),
        (0.000001, Duration(nanos=1000)),
        (900.0, Duration(seconds=900)),
    ],
)
def test_duration_is_rounded_to_the_microsecond(seconds: float, expected: Duration) -> None:
    assert duration(seconds) == expected
