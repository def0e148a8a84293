"""When streams are told to move."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.stream_age import drain_time


@given(begin_time=st.floats(0, 1e6), max_age_seconds=st.floats(1, 1e6), draw=st.floats(0.0, 1.0))
def test_age_is_the_maximum_give_or_take_a_fifth(
    begin_time: float, max_age_seconds: float, draw: float
) -> None:
    age_seconds = drain_time(begin_time, max_age_seconds, draw) - begin_time
    assert age_seconds == pytest.approx(max_age_seconds, rel=0.2001)


def test_streams_that_began_together_move_apart() -> None:
    times = [drain_time(100, 3600, draw) for draw in (0, 0.5, 1)]
    assert times == pytest.approx([2980, 3700, 4420])


def test_zero_turns_it_off() -> None:
    assert drain_time(100, 0, 0.5) == inf
