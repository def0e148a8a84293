"""Who gets the next job: windows are kept, and nobody starves."""

from itertools import pairwise

import pytest

from jobsvc.dispatch.planner import (
    LATE_SECONDS,
    LEAST_SLOTS,
    MAX_CLAIM_SIZE,
    MAX_RESCAN_SECONDS,
    MAX_SLOTS,
    RESCAN_SECONDS,
    UNKNOWN_SIZE,
    Claim,
    ClaimPlanner,
)
from jobsvc.dispatch.subscription import MAX_UNSENT_SIZE, Subscription
from jobsvc.domain.lease import QueuePosition
from tests.support.samples import NOW

PLACE = QueuePosition(0, NOW)


def worker(name: str = "w", window: int = 1, **limits: int) -> Subscription:
    return Subscription(name, limits or {"q": 0}, window)


def slots(claims: list[Claim]) -> dict[str, list[str]]:
    return {claim.queue: [s.worker_id for s in claim.slots] for claim in claims}


def end(board: ClaimPlanner, claim: Claim, count: int) -> None:
    """Ends a claim that brings `count` jobs, as the dispatcher does."""
    if board.arrived(claim, count, 0, None, 0.0) == 0.0:
        board.wake([claim.queue])
    board.settle(claim, count)


def test_workers_are_dealt_to_in_turn() -> None:
    board = ClaimPlanner()
    board.join(worker("a", 2))
    board.join(worker("b", 4))
    assert slots(board.plan(0.0)) == {"q": ["a", "b", "a", "b", "b", "b"]}


def test_first_job_goes_to_another_worker_each_time() -> None:
    board = ClaimPlanner()
    for name in "abc":
        board.join(worker(name, 5))
    first = []
    for _ in range(6):
        (claim,) = board.plan(0.0)
        first.append(claim.slots[0].worker_id)
        end(board, claim, 1)
        board.wake(["q"])
    assert sorted(first[:3]) == ["a", "b", "c"]
    assert all(one != other for one, other in pairwise(first))


def test_queues_share_the_window_of_a_worker() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10, a=0, b=0))
    assert {q: len(s) for q, s in slots(board.plan(0.0)).items()} == {"a": 5, "b": 5}


def test_smallest_window_serves_queues_in_turn() -> None:
    board = ClaimPlanner()
    subscription = worker("w", 1, a=0, b=0, c=0)
    board.join(subscription)
    served = []
    for _ in range(6):
        (claim,) = board.plan(0.0)
        served.append(claim.queue)
        end(board, claim, 1)
        subscription.hold(claim.queue, -1)
    assert served == ["a", "b", "c"] * 2


def test_what_one_queue_leaves_is_for_the_others() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10, a=0, b=0))
    for claim in board.plan(0.0):
        end(board, claim, len(claim.slots) if claim.queue == "b" else 0)
    assert {q: len(s) for q, s in slots(board.plan(0.0)).items()} == {"b": 5}


def test_limit_of_a_queue_is_kept_below_the_window() -> None:
    board = ClaimPlanner()
    subscription = worker("w", 10, a=3)
    board.join(subscription)
    (claim,) = board.plan(0.0)
    assert len(claim.slots) == 3
    end(board, claim, 3)
    assert board.plan(0.0) == []
    assert board.hungry() == []
    subscription.hold("a", -1)
    assert slots(board.plan(0.0)) == {"a": ["w"]}


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
    board = ClaimPlanner()
    for name in names:
        board.join(worker(name, 10_000))
    assert len(back_up(board, size).slots) == most
    failed = ask(board, 0.0)
    assert len(failed.slots) == failed.most == most
    board.failed(failed)
    board.settle(failed, 0)
    assert ask(board, 0.0).most == MAX_CLAIM_SIZE // UNKNOWN_SIZE, "it may have been too large"


@pytest.mark.parametrize(("workers", "window", "jobs"), [(32, 2, 32), (20, 10, 20), (200, 5, 200)])
def test_burst_goes_to_as_many_workers_as_can_be(workers: int, window: int, jobs: int) -> None:
    board = ClaimPlanner()
    for name in range(workers):
        board.join(worker(f"{name}", window))
    end(board, ask(board, 0.0), 0)
    served = []
    while len(served) < jobs:
        claim = ask(board, 0.0)
        count = min(len(claim.slots), jobs - len(served))
        served += [subscription.worker_id for subscription in claim.slots[:count]]
        end(board, claim, count)
    assert len(set(served)) == jobs


def test_claim_that_was_small_for_want_of_room_does_not_make_the_next_one_small() -> None:
    board = ClaimPlanner()
    only = worker("w", 10_000)
    board.join(only)
    back_up(board, 1)
    only.window = only.held + 1
    claim = ask(board, 0.0)
    assert len(claim.slots) == 1
    end(board, claim, 1)
    only.window = 10_000
    assert len(ask(board, 0.0).slots) == MAX_SLOTS


def test_what_is_being_leased_from_other_queues_counts_as_unsent() -> None:
    board = ClaimPlanner()
    many = worker("w", 10_000, **{f"q{n}": 0 for n in range(40)})
    board.join(many)
    served = set()
    while len(served) < 40:
        claims = board.plan(0.0)
        assert 0 < sum(len(c.slots) for c in claims) * UNKNOWN_SIZE <= 2 * MAX_CLAIM_SIZE
        assert many.is_behind
        for claim in claims:
            end(board, claim, 0)
            served.add(claim.queue)
    assert (many.reserved, many.reserved_size) == (0, 0)


def test_worker_with_much_that_is_unsent_is_given_no_more() -> None:
    board = ClaimPlanner()
    behind, other = worker("behind", 2), worker("other", 2)
    board.join(behind)
    board.join(other)
    behind.unsent_size = MAX_UNSENT_SIZE
    (claim,) = board.plan(0.0)
    assert slots([claim]) == {"q": ["other", "other"]}
    end(board, claim, 2)
    assert board.plan(0.0) == []
    behind.unsent_size -= 1
    assert slots(board.plan(0.0)) == {"q": ["behind", "behind"]}


def test_queue_has_one_claim_under_way() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10))
    (claim,) = board.plan(0.0)
    board.join(worker("other", 10))
    assert board.plan(0.0) == []
    end(board, claim, 0)
    assert len(board.plan(0.0)) == 1


def test_next_claim_begins_before_the_jobs_of_a_full_one_are_dealt_out() -> None:
    board = ClaimPlanner()
    subscription = worker("w", 3, q=2)
    board.join(subscription)
    (claim,) = board.plan(0.0)
    subscription.limits["q"] = 0
    assert board.arrived(claim, 2, 0, PLACE, 0.0) == 0.0
    board.wake(["q"])
    (second,) = board.plan(0.0)
    assert len(second.slots) == 1, "what has arrived still takes up its room"
    board.settle(claim, 2)
    assert board.plan(0.0) == [], "the second claim is still under way"
    assert (subscription.held, subscription.reserved) == (2, 1)
    end(board, second, 0)
    assert (subscription.held, subscription.reserved) == (2, 0)
    assert board.plan(0.0) == []


def ask(board: ClaimPlanner, now: float) -> Claim:
    board.wake(["q"])
    (claim,) = board.plan(now)
    return claim


def back_up(board: ClaimPlanner, size: int) -> Claim:
    """Lets four claims bring as many jobs (of this size) as they ask for, by which they are as
    large as can be; answers with the last of them."""
    for _ in range(4):
        claim = ask(board, 0.0)
        count = len(claim.slots)
        board.arrived(claim, count, count * size, PLACE, 0.0)
        board.settle(claim, count)
    return claim


def test_few_jobs_are_asked_for_until_there_are_many() -> None:
    board = ClaimPlanner()
    for name in range(200):
        board.join(worker(f"{name}", 5))
    for found in (0, 1, LEAST_SLOTS // 2):
        claim = ask(board, 0.0)
        assert len(claim.slots) == len(set(claim.slots)) == LEAST_SLOTS
        end(board, claim, found)
    counts = []
    for _ in range(3):
        claim = ask(board, 0.0)
        counts.append(len(claim.slots))
        end(board, claim, counts[-1])
    assert counts == [LEAST_SLOTS, 8 * LEAST_SLOTS, MAX_SLOTS]
    end(board, ask(board, 0.0), 50)
    assert len(ask(board, 0.0).slots) == 100


def test_full_claim_is_followed_up_where_it_ended() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10_000))
    back_up(board, 1)
    second = ask(board, 0.02)
    assert second.begin == PLACE
    later = PLACE.earlier(-60)
    assert board.arrived(second, MAX_SLOTS, 0, later, 0.03) == 0.03
    # No backlog any more: a job that was committed late may stand before those that have gone.
    third = ask(board, 0.04)
    assert third.begin == later
    assert board.arrived(third, 2, 0, later, 0.05) == 0.05
    assert ask(board, 0.06).begin == later.earlier(LATE_SECONDS)


def test_full_claim_of_large_jobs_is_followed_up_where_it_ended() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10_000))
    first = ask(board, 0.0)
    board.arrived(first, first.most, first.most * UNKNOWN_SIZE, PLACE, 0.0)
    assert ask(board, 0.0).begin == PLACE


def test_claim_that_failed_was_no_look() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 4))
    claim = ask(board, 0.0)
    board.failed(claim)
    board.settle(claim, 0)
    assert board.plan(0.0) == [], "until the next poll"
    assert ask(board, 0.0).begin is None


def test_late_job_of_a_quiet_queue_is_not_passed_by() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10_000))
    assert board.arrived(ask(board, 0.0), 2, 0, PLACE, 0.01) is None
    assert ask(board, 0.02).begin == PLACE.earlier(LATE_SECONDS)


def test_busy_queue_is_looked_at_from_its_beginning_again_and_again() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10_000))
    board.arrived(ask(board, 0.0), 1, 0, PLACE, 0.0)
    claim = ask(board, 0.99 * RESCAN_SECONDS)
    assert claim.begin is not None
    assert board.arrived(claim, 0, 0, None, RESCAN_SECONDS) == RESCAN_SECONDS, (
        "not to miss anything"
    )
    again = ask(board, RESCAN_SECONDS)
    assert again.begin is None
    assert board.arrived(again, 0, 0, None, RESCAN_SECONDS) is None, "the queue is empty"


def test_look_that_takes_long_comes_less_often() -> None:
    for took, pause in ((0.05, 0.5), (30.0, MAX_RESCAN_SECONDS)):
        board = ClaimPlanner()
        board.join(worker("w", 10_000))
        board.arrived(ask(board, 0.0), 1, 0, PLACE, took)
        almost = ask(board, took + 0.99 * pause)
        assert almost.begin is not None
        board.arrived(almost, 1, 0, PLACE, took + pause)
        assert ask(board, took + pause).begin is None


def test_queue_that_a_poll_finds_ready_is_looked_at_from_its_beginning() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10_000))
    board.arrived(ask(board, 0.0), 1, 0, PLACE, 0.0)
    board.rescan(["q", "unknown"])
    assert ask(board, 0.0).begin is None


def test_wake_during_a_claim_is_not_lost() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10))
    (claim,) = board.plan(0.0)
    assert board.wake(["q"])
    end(board, claim, 0)
    assert slots(board.plan(0.0)) == {"q": ["w"] * 10}


def test_short_claim_lets_the_queue_rest() -> None:
    board = ClaimPlanner()
    board.join(worker("w", 10))
    (claim,) = board.plan(0.0)
    end(board, claim, 9)
    assert board.plan(0.0) == []
    assert board.hungry() == ["q"]


def test_full_claim_asks_again() -> None:
    board = ClaimPlanner()
    subscription = worker("w", 2)
    board.join(subscription)
    (claim,) = board.plan(0.0)
    end(board, claim, 2)
    assert board.plan(0.0) == []
    subscription.window = 3
    assert slots(board.plan(0.0)) == {"q": ["w"]}


def test_worker_that_leaves_during_a_claim_blocks_nobody() -> None:
    board = ClaimPlanner()
    gone, other = worker("gone", 2), worker("other", 2)
    board.join(gone)
    board.join(other)
    (claim,) = board.plan(0.0)
    board.leave(gone)
    end(board, claim, 4)
    assert (other.held, other.reserved) == (2, 0)
    assert board.plan(0.0) == []
    other.hold("q", -2)
    assert slots(board.plan(0.0)) == {"q": ["other", "other"]}


def test_last_worker_takes_the_queue_along() -> None:
    board = ClaimPlanner()
    subscription = worker()
    board.join(subscription)
    (claim,) = board.plan(0.0)
    board.leave(subscription)
    assert board.queues == []
    assert not board.wake(["q"])
    end(board, claim, 1)
    assert board.plan(0.0) == []


def test_worker_that_comes_back_during_a_claim_is_served() -> None:
    board = ClaimPlanner()
    subscription = worker("old")
    board.join(subscription)
    (claim,) = board.plan(0.0)
    board.leave(subscription)
    board.join(worker("new"))
    assert board.plan(0.0) == []
    end(board, claim, 0)
    assert slots(board.plan(0.0)) == {"q": ["new"]}


def test_queue_without_a_worker_is_not_woken() -> None:
    board = ClaimPlanner()
    assert not board.wake(["q"])
    board.join(worker("w", 1, p=0))
    assert not board.wake(["q"])
    assert slots(board.plan(0.0)) == {"p": ["w"]}


def test_closed_window_takes_nothing() -> None:
    board = ClaimPlanner()
    subscription = worker("w", 0)
    board.join(subscription)
    assert board.plan(0.0) == []
    subscription.window = 1
    assert slots(board.plan(0.0)) == {"q": ["w"]}
