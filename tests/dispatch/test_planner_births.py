"""Which jobs may be born leased: those that nobody waits before, and that leave some to others."""

import pytest

from jobsvc.dispatch.planner import MAX_BIRTHS, ClaimPlanner
from jobsvc.dispatch.subscription import Subscription
from tests.dispatch.support.planner import end, worker


def at_rest(*subscriptions: Subscription) -> ClaimPlanner:
    """A planner whose queues have no jobs, as far as it knows."""
    planner = ClaimPlanner()
    for subscription in subscriptions:
        planner.join(subscription)
    for claim in planner.plan(0.0):
        end(planner, claim, 0)
    return planner


def reserve(planner: ClaimPlanner, count: int = 1, queue: str = "q") -> list[str]:
    """The workers of the slots of jobs that are all created."""
    claim = planner.reserve(queue, count, 0, 0.0)
    if claim is None:
        return []
    planner.born(claim, len(claim.slots))
    return [slot.worker_id for slot in claim.slots]


def test_slots_go_to_one_worker_after_the_other() -> None:
    planner = at_rest(worker("a", 6), worker("b", 6))
    assert reserve(planner) != reserve(planner)
    assert sorted(reserve(planner, 2)) == ["a", "b"]


def test_half_of_a_window_is_left_to_claims() -> None:
    subscription = worker("w", 5)
    planner = at_rest(subscription)
    assert reserve(planner, 9) == ["w"] * 3
    assert not planner.is_idle("q")
    assert reserve(planner) == []
    subscription.hold("q", -1)
    assert reserve(planner, 9) == ["w"]


def test_smallest_window_takes_a_job() -> None:
    assert reserve(at_rest(worker("w", 1)), 2) == ["w"]


def test_statement_has_a_limited_number_of_slots() -> None:
    assert len(reserve(at_rest(worker("w", 1000)), 400)) == MAX_BIRTHS


@pytest.mark.parametrize("queue", ["other", "unknown"])
def test_queue_without_a_worker_has_no_slot(queue: str) -> None:
    assert reserve(at_rest(worker("w", 5)), queue=queue) == []


def test_window_of_zero_takes_nothing() -> None:
    assert reserve(at_rest(worker("w", 0))) == []


def test_limit_of_the_queue_is_kept() -> None:
    assert reserve(at_rest(worker("w", 10, q=2)), 9) == ["w"] * 2


def test_no_job_is_born_past_one_that_may_be_ready() -> None:
    planner = at_rest(worker("w", 100))
    planner.wake(["q"])
    assert reserve(planner) == []
    (claim,) = planner.plan(0.0)
    assert len(claim.slots) < 50, "there is room for more"
    assert reserve(planner) == [], "the claim that looks for it is under way"
    end(planner, claim, 0)
    assert reserve(planner) == ["w"]


def test_other_queue_of_the_worker_goes_first_if_it_has_jobs() -> None:
    both, own = worker("both", 10, q=0, other=0), worker("own", 10)
    planner = at_rest(both, own)
    planner.wake(["other"])
    assert reserve(planner, 9) == ["own"] * 5
    for claim in planner.plan(0.0):
        end(planner, claim, 0)
    assert reserve(planner, 9) == ["both"] * 5


def test_reserved_capacity_is_nobody_elses_until_it_is_released() -> None:
    subscription = worker("w", 2)
    planner = at_rest(subscription)
    birth = planner.reserve("q", 1, 100, 0.0)
    assert birth is not None
    assert (subscription.reserved, subscription.reserved_size) == (1, 100)
    planner.wake(["q"])
    (claim,) = planner.plan(0.0)
    assert len(claim.slots) == 1
    end(planner, claim, 0)
    planner.born(birth, 0)
    assert (subscription.held, subscription.reserved, subscription.reserved_size) == (0, 0, 0)


def test_reservation_outlives_its_worker() -> None:
    subscription = worker("w", 2)
    planner = at_rest(subscription)
    birth = planner.reserve("q", 1, 0, 0.0)
    assert birth is not None
    planner.leave(subscription)
    planner.born(birth, 1)
    assert (subscription.held, subscription.reserved) == (1, 0)
