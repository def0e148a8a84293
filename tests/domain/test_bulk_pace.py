"""The pace of bulk operations: what callers ask for, and what other work leaves."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.bulk_pace import (
    BUSY_JOBS_PER_SECOND,
    BUSY_SHARE,
    MAX_JOBS,
    MAX_JOBS_BUSY,
    Counters,
    Traffic,
    batch_jobs,
    next_time,
    share_of,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
RATES = st.floats(0.1, 5_000)
#: How long batches take, and how late each begins.
LATENESS = st.lists(st.tuples(st.floats(0.0, 0.5), st.floats(0.0, 3.0)), min_size=1, max_size=60)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@given(RATES, LATENESS, st.booleans())
def test_no_stretch_of_time_has_more_jobs_than_the_rate_and_one_burst(
    rate: float, lateness: list[tuple[float, float]], is_busy: bool
) -> None:
    """However late batches begin: an operation that was held up catches up on a second."""
    due, batches = START, list[tuple[datetime, int]]()
    for took, late in lateness:
        began = due + timedelta(seconds=late)
        jobs = batch_jobs(rate, is_busy)
        batches.append((began, jobs))
        ended = began + timedelta(seconds=took)
        due = next_time(due, began, ended, jobs, rate, share_of(is_busy, 1))
    for first in range(len(batches)):
        for last in range(first, len(batches)):
            seconds = (batches[last][0] - batches[first][0]).total_seconds()
            jobs = sum(count for _, count in batches[first : last + 1])
            # What it may catch up on, and the batch that is under way.
            assert jobs <= rate * (seconds + 1) + batches[last][1] + 1e-3 * rate


@given(RATES)
def test_batches_in_time_keep_the_rate(rate: float) -> None:
    due, touched = START, 0
    while due < after(60):
        jobs = batch_jobs(rate, is_busy=False)
        touched += jobs
        due = next_time(due, due, due, jobs, rate, 1.0)
    assert touched >= rate * 60 - 1e-3


def test_skipped_jobs_do_not_count_for_the_rate() -> None:
    assert next_time(START, START, after(0.1), 0, 10.0, 1.0) == after(0.1)


@given(st.floats(0.001, 1.0), st.integers(1, 64))
def test_all_operations_together_keep_to_their_share(seconds: float, running: int) -> None:
    share = share_of(True, running)
    rest = next_time(START, START, after(seconds), 100, 0.0, share) - after(seconds)
    assert running * seconds / (seconds + rest.total_seconds()) == pytest.approx(
        BUSY_SHARE, rel=1e-3
    )


def test_nobody_is_waited_for_where_nobody_works() -> None:
    assert share_of(False, 3) == 1.0
    assert next_time(START, START, after(0.05), 1000, 0.0, 1.0) == after(0.05)


@pytest.mark.parametrize(
    ("rate", "jobs"), [(0.0, MAX_JOBS), (0.5, 1), (100.0, 25), (1e5, MAX_JOBS)]
)
def test_batch_has_the_jobs_of_a_quarter_second(rate: float, jobs: int) -> None:
    assert batch_jobs(rate, is_busy=False) == jobs
    assert batch_jobs(rate, is_busy=True) == min(jobs, MAX_JOBS_BUSY)


def traffic(*seen: tuple[float, int, int, int]) -> Traffic:
    """As of seconds, jobs created, leased and retried."""
    found = Traffic()
    for seconds, *counts in seen:
        found.saw(Counters(after(seconds), *counts))
    return found


def test_unknown_traffic_is_taken_for_some() -> None:
    assert traffic().is_busy
    assert traffic((0, 5, 5, 0)).is_busy


def test_jobs_that_are_created_or_leased_are_the_work_of_others() -> None:
    some = int(BUSY_JOBS_PER_SECOND * 2) + 1
    assert traffic((0, 0, 0, 0), (2, some, 0, 0)).is_busy
    assert traffic((0, 0, 0, 0), (2, 0, some, 0)).is_busy
    assert not traffic((0, 0, 0, 0), (2, some - 1, some - 1, 0)).is_busy


def test_jobs_that_operations_have_retried_are_not() -> None:
    assert not traffic((0, 0, 0, 0), (2, 0, 5000, 5000)).is_busy
    assert traffic((0, 0, 0, 0), (2, 0, 5100, 5000)).is_busy
    assert traffic((0, 0, 0, 0), (2, 5000, 5000, 5000)).is_busy


def test_traffic_that_is_over_is_forgotten() -> None:
    quiet = [(2 + n / 10, 9000, 9000, 0) for n in range(1, 40)]
    assert traffic((0, 0, 0, 0), (2, 9000, 9000, 0), *quiet[:10]).is_busy
    assert not traffic((0, 0, 0, 0), (2, 9000, 9000, 0), *quiet).is_busy


def test_counters_that_begin_anew_are_no_traffic() -> None:
    assert not traffic((0, 90_000, 90_000, 0), (2, 3, 3, 0)).is_busy


@given(st.lists(st.tuples(st.floats(0, 100), *[st.integers(0, 10**6)] * 3), max_size=30))
def test_traffic_takes_any_counters(seen: list[tuple[float, int, int, int]]) -> None:
    assert traffic(*seen).is_busy in (True, False)
