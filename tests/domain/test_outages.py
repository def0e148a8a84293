"""Silence is held against a worker only while it could report."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.outages import LATE_SECONDS, Outages

START = datetime(2026, 1, 1, tzinfo=UTC)
LOOK_SECONDS = 1.0
WAIT_SECONDS = 15.0
#: Longest time between two looks that is no outage.
MAX_SECONDS = LOOK_SECONDS + LATE_SECONDS


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def looks(*times: float, failed: tuple[float, ...] = ()) -> Outages:
    """Outages as seen by looks at these times, in seconds; before `failed` ones a write failed."""
    outages = Outages(WAIT_SECONDS, LOOK_SECONDS)
    for time in times:
        outages.looked(at(time), time in failed)
    return outages


def test_nothing_is_rescued_before_the_first_look() -> None:
    assert looks().excuse(at(0), at(30))


def test_lease_that_began_since_the_last_outage_is_rescued_at_once() -> None:
    assert not looks(0, 1, 2, 3).excuse(at(0), at(3))


def test_older_lease_waits_from_the_start_of_the_replica() -> None:
    times = range(WAIT_SECONDS.__ceil__())
    assert looks(*times).excuse(at(-30), at(-1))
    assert not looks(*times, WAIT_SECONDS).excuse(at(-30), at(-1))
    # Also one that runs out later: its worker has had the time to extend it.
    assert not looks(*times, WAIT_SECONDS).excuse(at(-1), at(14.5))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (100.0, 100.0 + MAX_SECONDS + 0.1),  # frozen, or the database was away
        (100.0, 3_700.0),
        (3_700.0, 100.0),  # the database's clock was set back
    ],
)
def test_late_look_and_a_step_of_the_clock_are_outages(before: float, after: float) -> None:
    steady = [before - n for n in range(20, -1, -1)]
    lease = at(min(before, after) - 10), at(after - 0.1)
    assert looks(*steady, after).excuse(*lease)
    assert looks(*steady, after, *(after + n for n in range(1, 15))).excuse(*lease)
    assert not looks(*steady, after, *(after + n for n in range(1, 16))).excuse(*lease)


def test_write_that_failed_is_an_outage_however_many_looks_there_were() -> None:
    times = range(40)
    assert not looks(*times).excuse(at(-5), at(25))
    assert looks(*times, failed=(30,)).excuse(at(-5), at(25))
    assert not looks(*times, *range(40, 46), failed=(30,)).excuse(at(-5), at(25))


def test_replica_that_leaves_rescues_nothing() -> None:
    outages = looks(*range(40))
    outages.leave()
    assert outages.excuse(at(5), at(35))


#: Seconds from look to look.
STEPS = st.floats(0.01, 60.0) | st.floats(0.9, 1.1)


@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=60), st.data())
def test_unexcused_silence_had_a_chance_to_end(
    steps: list[tuple[float, bool]], data: st.DataObject
) -> None:
    outages = Outages(WAIT_SECONDS, LOOK_SECONDS)
    now, ends, there = 0.0, [0.0], [(0.0, 0.0)]
    outages.looked(at(0), False)
    for step, failed in steps:
        now += step
        outages.looked(at(now), failed)
        if failed or step > MAX_SECONDS:
            ends.append(now)
        there.append((now, there[-1][1] + (0.0 if failed else min(step, MAX_SECONDS))))
    end = data.draw(st.integers(-600, int(now * 10)), label="end") / 10
    begin = end - data.draw(st.integers(0, 300), label="silence") / 10
    if outages.excuse(at(begin), at(end)):
        # Only an outage excuses, and not for good.
        assert ends[-1] > begin
        for n in range(1, WAIT_SECONDS.__ceil__() + 2):
            outages.looked(at(now + n), False)
        assert not outages.excuse(at(begin), at(end))
    elif ends[-1] > begin:
        # Some replica was there for long enough since the silence, or the last outage, ended.
        heard_before = next(s for t, s in there if t >= min(end, ends[-1]))
        assert there[-1][1] - heard_before >= WAIT_SECONDS - 1e-6


@given(st.lists(st.floats(MAX_SECONDS + 0.1, 60.0), min_size=8, max_size=60))
def test_slow_database_delays_a_rescue_but_does_not_prevent_it(steps: list[float]) -> None:
    times = [sum(steps[:n]) for n in range(len(steps) + 1)]
    assert not looks(*times).excuse(at(-30), at(0))
