"""How many workers a queue needs, as a function of what is known about it."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.queue import QueueCounts
from jobsvc.domain.scaling import DEFAULT_TARGETS, ScaleBy, ScaleRule, is_active, scale_value

#: Nothing waits, nothing runs, nobody is there.
IDLE = QueueCounts("q", False, False, 0, 0, 0, None, 0, 0, 0)
DEPTH = ScaleRule("q", ScaleBy.DEPTH, 10, 0)
AGE = ScaleRule("q", ScaleBy.AGE, 30, 0)
WINDOW = ScaleRule("q", ScaleBy.WINDOW, 1, 0)
RULES = (DEPTH, AGE, WINDOW)

rules = st.builds(
    ScaleRule,
    st.just("q"),
    st.sampled_from(ScaleBy),
    st.floats(0.001, 1000),
    st.floats(0, 1000),
)
amounts = st.integers(0, 10**7)
counts_of_queues = st.builds(
    QueueCounts,
    st.just("q"),
    paused=st.booleans(),
    deleting=st.booleans(),
    scheduled=amounts,
    ready=amounts,
    processing=amounts,
    oldest_ready_seconds=st.none() | st.floats(0, 1e7),
    workers=st.integers(0, 5000),
    open_window=amounts,
    busy_workers=st.integers(0, 5000),
)


def wanted(rule: ScaleRule, counts: QueueCounts) -> int:
    """The number of workers that an autoscaler makes of the value."""
    return math.ceil(scale_value(rule, counts) / rule.target)


@pytest.mark.parametrize("rule", RULES)
def test_queue_without_jobs_needs_no_worker(rule: ScaleRule) -> None:
    counts = replace(IDLE, workers=5, open_window=50)
    assert (wanted(rule, counts), is_active(rule, counts)) == (0, False)


@pytest.mark.parametrize("rule", RULES)
def test_jobs_that_are_not_due_do_not_count(rule: ScaleRule) -> None:
    counts = replace(IDLE, scheduled=100_000)
    assert (wanted(rule, counts), is_active(rule, counts)) == (0, False)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("state", ["paused", "deleting"])
def test_ready_jobs_of_a_queue_that_dispatches_none_do_not_count(
    rule: ScaleRule, state: str
) -> None:
    stopped = {"paused": state == "paused", "deleting": state == "deleting"}
    counts = replace(IDLE, ready=500, oldest_ready_seconds=900.0, **stopped)
    assert (wanted(rule, counts), is_active(rule, counts)) == (0, False)
    running = replace(counts, processing=3, workers=3, busy_workers=3)
    assert (wanted(rule, running), is_active(rule, running)) == (3, True), "what runs may end"


@pytest.mark.parametrize("rule", RULES)
def test_workers_of_long_jobs_are_kept_when_nothing_waits(rule: ScaleRule) -> None:
    counts = replace(IDLE, processing=5, workers=5, open_window=45, busy_workers=5)
    assert (wanted(rule, counts), is_active(rule, counts)) == (5, True)


@pytest.mark.parametrize("rule", RULES)
def test_running_jobs_keep_one_worker_though_none_is_seen(rule: ScaleRule) -> None:
    counts = replace(IDLE, processing=7)
    assert is_active(rule, counts)
    assert wanted(rule, counts) >= 1


@pytest.mark.parametrize("rule", RULES)
def test_worker_that_is_busy_for_another_queue_is_not_kept_for_this_one(rule: ScaleRule) -> None:
    assert wanted(rule, replace(IDLE, workers=4, busy_workers=4)) == 0


def test_by_depth_a_worker_is_for_so_many_jobs() -> None:
    assert wanted(DEPTH, replace(IDLE, ready=1)) == 1
    assert wanted(DEPTH, replace(IDLE, ready=10)) == 1
    assert wanted(DEPTH, replace(IDLE, ready=11)) == 2
    assert wanted(DEPTH, replace(IDLE, ready=95, processing=6, workers=1, busy_workers=1)) == 11


def test_by_age_there_are_more_workers_the_longer_the_oldest_job_waits() -> None:
    counts = replace(IDLE, ready=1000, oldest_ready_seconds=30.0, workers=4)
    assert wanted(AGE, counts) == 4, "in time"
    assert wanted(AGE, replace(counts, oldest_ready_seconds=60.0)) == 8
    assert wanted(AGE, replace(counts, oldest_ready_seconds=15.0)) == 2
    assert wanted(AGE, replace(counts, workers=0)) == 1


def test_by_age_there_are_never_more_workers_than_jobs() -> None:
    counts = replace(IDLE, ready=3, oldest_ready_seconds=86_400.0, workers=2)
    assert wanted(AGE, counts) == 3


def test_by_window_a_worker_is_for_as_many_jobs_as_it_takes() -> None:
    counts = replace(IDLE, ready=100, workers=2, open_window=15, processing=5, busy_workers=1)
    assert wanted(WINDOW, counts) == math.ceil(105 / 10)
    half = replace(WINDOW, target=0.5)
    assert wanted(half, counts) == 21, "half of the windows stay open"


def test_by_window_one_worker_comes_first() -> None:
    assert wanted(WINDOW, replace(IDLE, ready=10_000)) == 1


def test_by_window_a_full_worker_still_counts_for_one_job() -> None:
    counts = replace(IDLE, ready=4, workers=2, open_window=0, busy_workers=2)
    assert wanted(WINDOW, counts) == 4


@pytest.mark.parametrize("by", [ScaleBy.DEPTH, ScaleBy.WINDOW])
def test_few_ready_jobs_wait_for_more(by: ScaleBy) -> None:
    rule = ScaleRule("q", by, DEFAULT_TARGETS[by], activation=5)
    assert not is_active(rule, replace(IDLE, ready=5))
    assert is_active(rule, replace(IDLE, ready=6))
    assert is_active(rule, replace(IDLE, processing=1))


def test_young_ready_jobs_wait_until_they_are_older() -> None:
    rule = replace(AGE, activation=20.0)
    assert not is_active(rule, replace(IDLE, ready=9, oldest_ready_seconds=19.9))
    assert is_active(rule, replace(IDLE, ready=9, oldest_ready_seconds=20.0))
    assert is_active(AGE, replace(IDLE, ready=1, oldest_ready_seconds=0.0))


def test_each_rule_has_a_metric_of_its_own() -> None:
    assert {rule.metric_name for rule in RULES} == {
        "jobsvc-depth-q",
        "jobsvc-age-q",
        "jobsvc-window-q",
    }


@given(rules, counts_of_queues)
def test_value_is_a_number_of_workers_between_the_busy_ones_and_the_jobs(
    rule: ScaleRule, counts: QueueCounts
) -> None:
    value = scale_value(rule, counts)
    assert math.isfinite(value)
    jobs = counts.processing + (0 if counts.paused or counts.deleting else counts.ready)
    assert min(counts.busy_workers, counts.processing) * rule.target <= value
    assert value <= jobs * rule.target


@given(rules, counts_of_queues, st.integers(1, 1000))
def test_more_ready_jobs_never_mean_fewer_workers(
    rule: ScaleRule, counts: QueueCounts, more: int
) -> None:
    fuller = replace(counts, ready=counts.ready + more)
    assert scale_value(rule, fuller) >= scale_value(rule, counts)
    assert is_active(rule, fuller) or not is_active(rule, counts)


@given(rules, counts_of_queues)
def test_queue_with_running_jobs_is_active(rule: ScaleRule, counts: QueueCounts) -> None:
    assert is_active(rule, replace(counts, processing=counts.processing + 1))
