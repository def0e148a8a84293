"""Minutes of queues: counts that are added up, and percentiles of histograms."""

from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil

import pytest
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.end_reason import OWN_REASONS
from jobsvc.domain.queue_history import (
    REASONS,
    QueueMinute,
    add_counts,
    counted_minute,
    percentile,
    percentiles,
    steps_of,
)
from jobsvc.telemetry.job_tallies import BOUNDARIES, JobTallies, QueueTally

END = datetime(2026, 12, 1, 12, tzinfo=UTC)
COUNTS = st.lists(st.integers(0, 1000), max_size=len(BOUNDARIES) + 1)
SECONDS = st.floats(0, 2e6, allow_nan=False)
FRACTIONS = st.sampled_from([0.01, 0.5, 0.9, 0.95, 0.99, 1.0])


def histogram(seconds: list[float]) -> list[int]:
    tally = QueueTally()
    tally.ran(sorted(seconds))
    return tally.run


def padded(counts: list[int]) -> list[int]:
    return [*counts, *[0] * (len(BOUNDARIES) + 1 - len(counts))]


@given(COUNTS, COUNTS, COUNTS)
def test_counts_add_up_in_any_order(a: list[int], b: list[int], c: list[int]) -> None:
    assert add_counts(a, b) == add_counts(b, a)
    assert add_counts(add_counts(a, b), c) == add_counts(a, add_counts(b, c)) == add_counts(a, b, c)
    assert padded(add_counts(a, b)) == [x + y for x, y in zip(padded(a), padded(b), strict=True)]


@given(st.lists(SECONDS), st.lists(SECONDS))
def test_sum_of_histograms_is_the_histogram_of_all(a: list[float], b: list[float]) -> None:
    assert add_counts(histogram(a), histogram(b)) == histogram([*a, *b])


@given(st.lists(SECONDS, min_size=1), FRACTIONS)
def test_percentile_is_in_the_bucket_of_the_true_one(seconds: list[float], part: float) -> None:
    true = sorted(seconds)[ceil(part * len(seconds)) - 1]
    found = percentile(histogram(seconds), part)
    if true > BOUNDARIES[-1]:
        assert found == BOUNDARIES[-1]
        return
    bucket = bisect_left(BOUNDARIES, true)
    low = BOUNDARIES[bucket - 1] if bucket else 0.0
    assert low <= found <= BOUNDARIES[bucket]
    # As the contract promises.
    assert true / 1.5 - 0.001 <= found <= true * 1.5 + 0.001


@given(st.lists(SECONDS, min_size=1))
def test_percentiles_ascend(seconds: list[float]) -> None:
    found = percentiles(histogram(seconds))
    assert found is not None
    assert found.count == len(seconds)
    assert 0 <= found.p50 <= found.p95 <= found.p99 <= BOUNDARIES[-1]


def test_nothing_has_no_percentiles() -> None:
    assert percentiles([]) is percentiles([0, 0]) is None


def test_values_of_a_bucket_are_spread_over_it() -> None:
    # 100 in the bucket from 2 to 2.5 s.
    counts = histogram([2.2] * 100)
    assert percentile(counts, 0.5) == pytest.approx(2.25)
    assert percentile(counts, 0.99) == pytest.approx(2.495)


def test_boundaries_ascend_by_half_at_the_most() -> None:
    ratios = [high / low for low, high in pairwise(BOUNDARIES)]
    assert min(ratios) > 1
    assert max(ratios) <= 1.5
    assert (BOUNDARIES[0], BOUNDARIES[-1]) == (0.001, 7 * 86_400)


def test_each_reason_has_a_position_that_stays() -> None:
    assert set(REASONS) == {*code_pb2.Code.keys(), *OWN_REASONS}
    assert REASONS[:17] == tuple(code_pb2.Code.Name(n) for n in range(17))
    assert len(set(REASONS)) == len(REASONS)
    # Stored in databases: to change one of these is to change what they mean.
    assert REASONS[17:20] == ("LEASE_EXPIRED", "ATTEMPT_TIMEOUT", "CANCEL_GRACE")


def minute(ago: int, **counts: object) -> QueueMinute:
    zeros = dict.fromkeys(
        ("created", "completed", "cancelled", "retried", "ready", "processing"), 0
    )
    arrays = dict.fromkeys(("failed", "wait", "run"), ())
    return QueueMinute(END - timedelta(minutes=ago), **{**zeros, **arrays, **counts})  # type: ignore[arg-type]


def test_steps_cover_the_window_and_are_of_their_minutes() -> None:
    minutes = [
        minute(6, created=1, ready=5),
        minute(5, created=2, ready=3, wait=histogram([0.2] * 4)),
        minute(1, created=4, completed=3, failed=[0, 0, 2], wait=histogram([9.0])),
    ]
    first, second, third = steps_of(minutes, END, 6, 2)
    assert first.start_time == END - timedelta(minutes=6)
    assert (first.created, first.ready, first.minutes) == (3, 5, 2)
    assert first.wait is not None
    assert first.wait.count == 4
    assert (second.created, second.wait, second.failed) == (0, None, {})
    assert third.start_time == END - timedelta(minutes=2)
    assert (third.created, third.completed, third.failed) == (4, 3, {"UNKNOWN": 2})


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), unique_by=lambda pair: pair[0]),
    st.sampled_from([1, 2, 3, 5, 6, 10, 15, 30]),
)
def test_no_count_is_lost_by_longer_steps(created: list[tuple[int, int]], step: int) -> None:
    minutes = [minute(ago, created=count) for ago, count in created]
    steps = list(steps_of(minutes, END, 30, step))
    assert len(steps) == 30 // step
    assert sum(found.created for found in steps) == sum(count for _, count in created)


def test_reason_of_a_later_release_is_unknown() -> None:
    failed = [0] * len(REASONS) + [7]
    (step,) = steps_of([minute(1, failed=failed)], END, 1, 1)
    assert step.failed == {"UNKNOWN": 7}


def test_busiest_queues_are_kept() -> None:
    tallies = JobTallies()
    tallies.of("idle")
    tallies.of("some").created += 2
    tallies.of("most").ran([1.0, 2.0, 3.0])
    tallies.of("least").fail(1, "INTERNAL")
    counted = counted_minute(tallies.take(), max_queues=2)
    assert counted is not None
    assert counted.queues == ["most", "some"]
    assert [sum(run) for run in counted.run] == [3, 0]
    assert counted_minute(tallies.take()) is None


def test_zeros_at_the_end_are_left_out() -> None:
    tallies = JobTallies()
    tallies.of("q").waited([0.0005, 0.0005, 0.0012])
    tallies.of("q").fail(3, "INVALID_ARGUMENT")
    counted = counted_minute(tallies.take())
    assert counted is not None
    assert (counted.wait, counted.run, counted.failed) == ([[2, 1]], [[]], [[0, 0, 0, 3]])
