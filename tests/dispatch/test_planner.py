"""The planner keeps windows, and no worker starves."""

from itertools import pairwise

from jobsvc.dispatch.planner import ClaimPlanner, FollowUp
from tests.dispatch.support.planner import POSITION, end, slots, worker


def test_workers_are_dealt_to_one_after_the_other() -> None:
    planner = ClaimPlanner()
    planner.join(worker("a", 2))
    planner.join(worker("b", 4))
    assert slots(planner.plan(0.0)) == {"q": ["a", "b", "a", "b", "b", "b"]}


def test_first_job_goes_to_another_worker_each_time() -> None:
    planner = ClaimPlanner()
    for name in "abc":
        planner.join(worker(name, 5))
    first = []
    for _ in range(6):
        (claim,) = planner.plan(0.0)
        first.append(claim.slots[0].worker_id)
        end(planner, claim, 1)
        planner.wake(["q"])
    assert sorted(first[:3]) == ["a", "b", "c"]
    assert all(one != other for one, other in pairwise(first))


def test_queues_share_the_window_of_a_worker() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10, a=0, b=0))
    assert {q: len(s) for q, s in slots(planner.plan(0.0)).items()} == {"a": 5, "b": 5}


def test_smallest_window_serves_queues_one_after_the_other() -> None:
    planner = ClaimPlanner()
    subscription = worker("w", 1, a=0, b=0, c=0)
    planner.join(subscription)
    served = []
    for _ in range(6):
        (claim,) = planner.plan(0.0)
        served.append(claim.queue)
        end(planner, claim, 1)
        subscription.hold(claim.queue, -1)
    assert served == ["a", "b", "c"] * 2


def test_what_one_queue_leaves_is_for_the_others() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10, a=0, b=0))
    for claim in planner.plan(0.0):
        end(planner, claim, len(claim.slots) if claim.queue == "b" else 0)
    assert {q: len(s) for q, s in slots(planner.plan(0.0)).items()} == {"b": 5}


def test_limit_of_a_queue_is_kept_below_the_window() -> None:
    planner = ClaimPlanner()
    subscription = worker("w", 10, a=3)
    planner.join(subscription)
    (claim,) = planner.plan(0.0)
    assert len(claim.slots) == 3
    end(planner, claim, 3)
    assert planner.plan(0.0) == []
    assert planner.with_capacity() == []
    subscription.hold("a", -1)
    assert slots(planner.plan(0.0)) == {"a": ["w"]}


def test_queue_has_one_claim_under_way() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10))
    (claim,) = planner.plan(0.0)
    planner.join(worker("other", 10))
    assert planner.plan(0.0) == []
    end(planner, claim, 0)
    assert len(planner.plan(0.0)) == 1


def test_next_claim_begins_before_the_jobs_of_a_full_one_are_dealt_out() -> None:
    planner = ClaimPlanner()
    subscription = worker("w", 3, q=2)
    planner.join(subscription)
    (claim,) = planner.plan(0.0)
    subscription.limits["q"] = 0
    follow_up = planner.completed(claim, 2, 0, POSITION, 0.0)
    assert follow_up == FollowUp(claim_again=True, has_capacity=True)
    (second,) = planner.plan(0.0)
    assert len(second.slots) == 1, "the jobs to be dealt still use capacity"
    planner.release(claim, 2)
    assert planner.plan(0.0) == [], "the second claim is still under way"
    assert (subscription.held, subscription.reserved) == (2, 1)
    end(planner, second, 0)
    assert (subscription.held, subscription.reserved) == (2, 0)
    assert planner.plan(0.0) == []


def test_wake_during_a_claim_is_not_lost() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10))
    (claim,) = planner.plan(0.0)
    assert planner.wake(["q"])
    end(planner, claim, 0)
    assert slots(planner.plan(0.0)) == {"q": ["w"] * 10}


def test_short_claim_lets_the_queue_rest() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10))
    (claim,) = planner.plan(0.0)
    end(planner, claim, 9)
    assert planner.plan(0.0) == []
    assert planner.with_capacity() == ["q"]


def test_full_claim_asks_again() -> None:
    planner = ClaimPlanner()
    subscription = worker("w", 2)
    planner.join(subscription)
    (claim,) = planner.plan(0.0)
    end(planner, claim, 2)
    assert planner.plan(0.0) == []
    subscription.window = 3
    assert slots(planner.plan(0.0)) == {"q": ["w"]}


def test_worker_that_leaves_during_a_claim_blocks_nobody() -> None:
    planner = ClaimPlanner()
    gone, other = worker("gone", 2), worker("other", 2)
    planner.join(gone)
    planner.join(other)
    (claim,) = planner.plan(0.0)
    planner.leave(gone)
    end(planner, claim, 4)
    assert (other.held, other.reserved) == (2, 0)
    assert planner.plan(0.0) == []
    other.hold("q", -2)
    assert slots(planner.plan(0.0)) == {"q": ["other", "other"]}


def test_last_worker_takes_the_queue_along() -> None:
    planner = ClaimPlanner()
    subscription = worker()
    planner.join(subscription)
    (claim,) = planner.plan(0.0)
    planner.leave(subscription)
    assert planner.queues == []
    assert not planner.wake(["q"])
    end(planner, claim, 1)
    assert planner.plan(0.0) == []


def test_worker_that_comes_back_during_a_claim_is_served() -> None:
    planner = ClaimPlanner()
    subscription = worker("old")
    planner.join(subscription)
    (claim,) = planner.plan(0.0)
    planner.leave(subscription)
    planner.join(worker("new"))
    assert planner.plan(0.0) == []
    end(planner, claim, 0)
    assert slots(planner.plan(0.0)) == {"q": ["new"]}


def test_queue_without_a_worker_is_not_woken() -> None:
    planner = ClaimPlanner()
    assert not planner.wake(["q"])
    planner.join(worker("w", 1, p=0))
    assert not planner.wake(["q"])
    assert slots(planner.plan(0.0)) == {"p": ["w"]}


def test_closed_window_takes_nothing() -> None:
    planner = ClaimPlanner()
    subscription = worker("w", 0)
    planner.join(subscription)
    assert planner.plan(0.0) == []
    subscription.window = 1
    assert slots(planner.plan(0.0)) == {"q": ["w"]}
