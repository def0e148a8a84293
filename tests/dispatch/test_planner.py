"""The planner keeps windows, and no worker starves."""

from itertools import pairwise

import pytest

from jobsvc.dispatch.planner import (
    LATE_SECONDS,
    MAX_CLAIM_SIZE,
    MAX_RESCAN_SECONDS,
    MAX_SLOTS,
    MIN_SLOTS,
    RESCAN_SECONDS,
    UNKNOWN_SIZE,
    Claim,
    ClaimPlanner,
    FollowUp,
)
from jobsvc.dispatch.subscription import MAX_UNSENT_SIZE, Subscription
from jobsvc.domain.lease import QueuePosition
from tests.support.samples import NOW

POSITION = QueuePosition(0, NOW)


def worker(name: str = "w", window: int = 1, **limits: int) -> Subscription:
    return Subscription(name, limits or {"q": 0}, window)


def slots(claims: list[Claim]) -> dict[str, list[str]]:
    return {claim.queue: [s.worker_id for s in claim.slots] for claim in claims}


def end(planner: ClaimPlanner, claim: Claim, count: int) -> None:
    """Ends a claim that brings `count` jobs, as the claim loop does."""
    planner.completed(claim, count, 0, None, 0.0)
    planner.release(claim, count)


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


@pytest.mark.parametrize("names", ["a", "ab"])
@pytest.mark.parametrize(
    ("size", "most"),
    [
        (0, MAX_SLOTS),
        (200, MAX_SLOTS),
        (MAX_CLAIM_SIZE // MAX_SLOTS, MAX_SLOTS),
        (MAX_CLAIM_SIZE // 100, 100),
        (256 * 1024, MAX_CLAIM_SIZE // (256 * 1024)),
        (2 * MAX_CLAIM_SIZE, 1),
    ],
)
def test_largest_claim_is_bounded_in_jobs_and_by_the_size_of_the_last_ones(
    names: str, size: int, most: int
) -> None:
    planner = ClaimPlanner()
    for name in names:
        planner.join(worker(name, 10_000))
    assert len(back_up(planner, size).slots) == most
    failed = ask(planner, 0.0)
    assert len(failed.slots) == failed.max_slots == most
    planner.failed(failed)
    assert ask(planner, 0.0).max_slots == MAX_CLAIM_SIZE // UNKNOWN_SIZE, (
        "it may have been too large"
    )


@pytest.mark.parametrize(("workers", "window", "jobs"), [(32, 2, 32), (20, 10, 20), (200, 5, 200)])
def test_burst_goes_to_as_many_workers_as_can_be(workers: int, window: int, jobs: int) -> None:
    planner = ClaimPlanner()
    for name in range(workers):
        planner.join(worker(f"{name}", window))
    end(planner, ask(planner, 0.0), 0)
    served = []
    while len(served) < jobs:
        claim = ask(planner, 0.0)
        count = min(len(claim.slots), jobs - len(served))
        served += [subscription.worker_id for subscription in claim.slots[:count]]
        end(planner, claim, count)
    assert len(set(served)) == jobs


def test_claim_that_was_small_for_lack_of_capacity_does_not_make_the_next_one_small() -> None:
    planner = ClaimPlanner()
    only = worker("w", 10_000)
    planner.join(only)
    back_up(planner, 1)
    only.window = only.held + 1
    claim = ask(planner, 0.0)
    assert len(claim.slots) == 1
    end(planner, claim, 1)
    only.window = 10_000
    assert len(ask(planner, 0.0).slots) == MAX_SLOTS


def test_what_is_being_leased_from_other_queues_counts_as_unsent() -> None:
    planner = ClaimPlanner()
    many = worker("w", 10_000, **{f"q{n}": 0 for n in range(40)})
    planner.join(many)
    served = set()
    while len(served) < 40:
        claims = planner.plan(0.0)
        assert 0 < sum(len(c.slots) for c in claims) * UNKNOWN_SIZE <= 2 * MAX_CLAIM_SIZE
        assert many.is_behind
        for claim in claims:
            end(planner, claim, 0)
            served.add(claim.queue)
    assert (many.reserved, many.reserved_size) == (0, 0)


def test_worker_with_much_that_is_unsent_is_given_no_more() -> None:
    planner = ClaimPlanner()
    behind, other = worker("behind", 2), worker("other", 2)
    planner.join(behind)
    planner.join(other)
    behind.unsent_size = MAX_UNSENT_SIZE
    (claim,) = planner.plan(0.0)
    assert slots([claim]) == {"q": ["other", "other"]}
    end(planner, claim, 2)
    assert planner.plan(0.0) == []
    behind.unsent_size -= 1
    assert slots(planner.plan(0.0)) == {"q": ["behind", "behind"]}


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


def ask(planner: ClaimPlanner, now: float) -> Claim:
    planner.wake(["q"])
    (claim,) = planner.plan(now)
    return claim


def back_up(planner: ClaimPlanner, size: int) -> Claim:
    """Lets four claims bring as many jobs (of this size) as they ask for, so that they grow to the
    largest size. Returns the last of them."""
    for _ in range(4):
        claim = ask(planner, 0.0)
        count = len(claim.slots)
        planner.completed(claim, count, count * size, POSITION, 0.0)
        planner.release(claim, count)
    return claim


def test_few_jobs_are_asked_for_until_there_are_many() -> None:
    planner = ClaimPlanner()
    for name in range(200):
        planner.join(worker(f"{name}", 5))
    for found in (0, 1, MIN_SLOTS // 2):
        claim = ask(planner, 0.0)
        assert len(claim.slots) == len(set(claim.slots)) == MIN_SLOTS
        end(planner, claim, found)
    counts = []
    for _ in range(3):
        claim = ask(planner, 0.0)
        counts.append(len(claim.slots))
        end(planner, claim, counts[-1])
    assert counts == [MIN_SLOTS, 8 * MIN_SLOTS, MAX_SLOTS]
    end(planner, ask(planner, 0.0), 50)
    assert len(ask(planner, 0.0).slots) == 100


def test_full_claim_is_followed_up_where_it_ended() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10_000))
    back_up(planner, 1)
    second = ask(planner, 0.02)
    assert second.begin == POSITION
    later = POSITION.earlier(-60)
    assert planner.completed(second, MAX_SLOTS, 0, later, 0.03).claim_again
    # No backlog any more: a job that was committed late may stand before those that have gone.
    third = ask(planner, 0.04)
    assert third.begin == later
    assert planner.completed(third, 2, 0, later, 0.05).claim_again
    assert ask(planner, 0.06).begin == later.earlier(LATE_SECONDS)


def test_full_claim_of_large_jobs_is_followed_up_where_it_ended() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10_000))
    first = ask(planner, 0.0)
    planner.completed(first, first.max_slots, first.max_slots * UNKNOWN_SIZE, POSITION, 0.0)
    assert ask(planner, 0.0).begin == POSITION


def test_claim_that_failed_has_searched_nothing() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 4))
    claim = ask(planner, 0.0)
    planner.failed(claim)
    assert planner.plan(0.0) == [], "until the next poll"
    assert ask(planner, 0.0).begin is None


def test_late_job_of_a_quiet_queue_is_not_passed_by() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10_000))
    assert planner.completed(ask(planner, 0.0), 2, 0, POSITION, 0.01) == FollowUp()
    assert ask(planner, 0.02).begin == POSITION.earlier(LATE_SECONDS)


def test_busy_queue_is_searched_from_its_beginning_again_and_again() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10_000))
    planner.completed(ask(planner, 0.0), 1, 0, POSITION, 0.0)
    claim = ask(planner, 0.99 * RESCAN_SECONDS)
    assert claim.begin is not None
    assert planner.completed(claim, 0, 0, None, RESCAN_SECONDS) == FollowUp(claim_again=True), (
        "not to miss anything"
    )
    again = ask(planner, RESCAN_SECONDS)
    assert again.begin is None
    assert planner.completed(again, 0, 0, None, RESCAN_SECONDS) == FollowUp(), "the queue is empty"


def test_queue_with_a_short_claim_is_woken_for_its_next_rescan() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10_000))
    planner.completed(ask(planner, 0.0), 1, 0, POSITION, 0.0)
    claim = ask(planner, 0.5 * RESCAN_SECONDS)
    follow_up = planner.completed(claim, 1, 0, POSITION, 0.6 * RESCAN_SECONDS)
    assert follow_up == FollowUp(rescan_time=RESCAN_SECONDS)
    assert planner.plan(0.6 * RESCAN_SECONDS) == []


def test_next_claim_waits_for_the_end_of_this_one_if_there_is_no_capacity() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 2))
    (claim,) = planner.plan(0.0)
    assert planner.completed(claim, 2, 0, POSITION, 0.0) == FollowUp(claim_again=True)


def test_rescan_that_takes_long_comes_less_often() -> None:
    for took, pause in ((0.05, 0.5), (30.0, MAX_RESCAN_SECONDS)):
        planner = ClaimPlanner()
        planner.join(worker("w", 10_000))
        planner.completed(ask(planner, 0.0), 1, 0, POSITION, took)
        almost = ask(planner, took + 0.99 * pause)
        assert almost.begin is not None
        planner.completed(almost, 1, 0, POSITION, took + pause)
        assert ask(planner, took + pause).begin is None


def test_queue_that_a_poll_finds_ready_is_searched_from_its_beginning() -> None:
    planner = ClaimPlanner()
    planner.join(worker("w", 10_000))
    planner.completed(ask(planner, 0.0), 1, 0, POSITION, 0.0)
    planner.rescan(["q", "unknown"])
    assert ask(planner, 0.0).begin is None


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
