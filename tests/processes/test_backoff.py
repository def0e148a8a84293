"""Processes that live for long are replaced at once, others more and more slowly."""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.processes.backoff import (
    FIRST_DELAY_SECONDS,
    LONG_LIFE_SECONDS,
    MAX_DELAY_SECONDS,
    next_delay,
)

LIVES = st.floats(0, 2 * LONG_LIFE_SECONDS)


def test_waits_double_up_to_the_longest() -> None:
    delays = list(accumulate([1.0] * 8, lambda last, lived: next_delay(lived, last), initial=0.0))
    assert delays[1:] == [0.5, 1, 2, 4, 8, 16, MAX_DELAY_SECONDS, MAX_DELAY_SECONDS]


@given(st.lists(LIVES), st.floats(LONG_LIFE_SECONDS, 1e6))
def test_whoever_lived_long_is_replaced_at_once(lives: list[float], long: float) -> None:
    last = 0.0
    for lived in lives:
        last = next_delay(lived, last)
    assert next_delay(long, last) == 0


@given(st.lists(LIVES))
def test_no_two_short_lives_follow_each_other_without_a_wait(lives: list[float]) -> None:
    last = 0.0
    for lived in lives:
        delay = next_delay(lived, last)
        assert delay <= MAX_DELAY_SECONDS
        if lived < LONG_LIFE_SECONDS:
            assert delay >= max(FIRST_DELAY_SECONDS, last)
        last = delay
