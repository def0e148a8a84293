"""Who is refused again and again hears of it later, and nobody else does."""

import pytest

from jobsvc.domain.refusal_pace import AT_ONCE, MOST_SECONDS, PER_SECOND, RefusalPace

_NOW = 1000.0


def _delays(pace: RefusalPace, count: int, caller: str = "a", now: float = _NOW) -> list[float]:
    return [pace.delay_seconds(caller, now) for _ in range(count)]


def test_first_refusals_are_at_once_and_the_others_one_by_one() -> None:
    delays = _delays(RefusalPace(), AT_ONCE + 50)
    assert max(delays[:AT_ONCE]) == pytest.approx(0, abs=1e-9)
    assert delays[AT_ONCE:] == pytest.approx([n / PER_SECOND for n in range(1, 51)])


def test_no_refusal_is_later_than_the_most() -> None:
    pace = RefusalPace()
    assert max(_delays(pace, 100_000)) == pytest.approx(MOST_SECONDS)
    # As many a second as come: each has been late.
    assert pace.delay_seconds("a", _NOW + 1) == pytest.approx(MOST_SECONDS - 1 + 1 / PER_SECOND)


def test_another_caller_is_not_late() -> None:
    pace = RefusalPace()
    _delays(pace, 10_000)
    assert max(_delays(pace, AT_ONCE, "b")) == pytest.approx(0, abs=1e-9)


def test_who_has_rested_is_answered_at_once_again() -> None:
    pace = RefusalPace()
    _delays(pace, 10_000)
    later = _NOW + MOST_SECONDS + AT_ONCE / PER_SECOND
    assert max(_delays(pace, AT_ONCE, now=later)) == pytest.approx(0, abs=1e-9)


def test_long_rest_earns_no_more_than_a_short_one() -> None:
    pace = RefusalPace()
    _delays(pace, 1)
    assert _delays(pace, AT_ONCE + 50, now=_NOW + 3600)[-1] == pytest.approx(50 / PER_SECOND)


def test_callers_that_have_rested_are_forgotten_and_others_are_not() -> None:
    pace = RefusalPace()
    for n in range(5_000):
        pace.delay_seconds(f"{n}", _NOW)
    _delays(pace, 10_000, now=_NOW + 1)
    for n in range(5_000):
        pace.delay_seconds(f"{n}", _NOW + 2)
    assert pace.delay_seconds("a", _NOW + 2) > 1
    pace.delay_seconds("b", _NOW + 60)
    assert len(pace) == 1
