"""Who gets the next job: windows are kept, and nobody starves."""

from itertools import pairwise

from jobsvc.dispatch.board import MOST_SLOTS, Board, Claim, Subscription


def worker(name: str = "w", window: int = 1, **limits: int) -> Subscription:
    return Subscription(name, limits or {"q": 0}, window)


def slots(claims: list[Claim]) -> dict[str, list[str]]:
    return {claim.queue: [s.worker_id for s in claim.slots] for claim in claims}


def test_workers_are_dealt_to_in_turn() -> None:
    board = Board()
    board.join(worker("a", 2))
    board.join(worker("b", 4))
    assert slots(board.plan()) == {"q": ["a", "b", "a", "b", "b", "b"]}


def test_first_job_goes_to_another_worker_each_time() -> None:
    board = Board()
    for name in "abc":
        board.join(worker(name, 5))
    first = []
    for _ in range(6):
        (claim,) = board.plan()
        first.append(claim.slots[0].worker_id)
        board.settle(claim, 1)
        board.wake(["q"])
    assert sorted(first[:3]) == ["a", "b", "c"]
    assert all(one != other for one, other in pairwise(first))


def test_queues_share_the_window_of_a_worker() -> None:
    board = Board()
    board.join(worker("w", 10, a=0, b=0))
    assert {q: len(s) for q, s in slots(board.plan()).items()} == {"a": 5, "b": 5}


def test_smallest_window_serves_queues_in_turn() -> None:
    board = Board()
    subscription = worker("w", 1, a=0, b=0, c=0)
    board.join(subscription)
    served = []
    for _ in range(6):
        (claim,) = board.plan()
        served.append(claim.queue)
        board.settle(claim, 1)
        subscription.hold(claim.queue, -1)
    assert served == ["a", "b", "c"] * 2


def test_what_one_queue_leaves_is_for_the_others() -> None:
    board = Board()
    board.join(worker("w", 10, a=0, b=0))
    for claim in board.plan():
        board.settle(claim, len(claim.slots) if claim.queue == "b" else 0)
    assert {q: len(s) for q, s in slots(board.plan()).items()} == {"b": 5}


def test_limit_of_a_queue_is_kept_below_the_window() -> None:
    board = Board()
    subscription = worker("w", 10, a=3)
    board.join(subscription)
    (claim,) = board.plan()
    assert len(claim.slots) == 3
    board.settle(claim, 3)
    assert board.plan() == []
    assert board.hungry() == []
    subscription.hold("a", -1)
    assert slots(board.plan()) == {"a": ["w"]}


def test_largest_claim_is_bounded() -> None:
    alone, both = Board(), Board()
    alone.join(worker("a", 10_000))
    both.join(worker("a", 10_000))
    both.join(worker("b", 10_000))
    assert len(alone.plan()[0].slots) == MOST_SLOTS
    assert len(both.plan()[0].slots) == MOST_SLOTS


def test_queue_has_one_claim_under_way() -> None:
    board = Board()
    board.join(worker("w", 10))
    (claim,) = board.plan()
    board.join(worker("other", 10))
    assert board.plan() == []
    board.settle(claim, 0)
    assert len(board.plan()) == 1


def test_next_claim_begins_before_the_jobs_of_a_full_one_are_dealt_out() -> None:
    board = Board()
    subscription = worker("w", 3)
    board.join(subscription)
    subscription.limits["q"] = 2
    (claim,) = board.plan()
    subscription.limits["q"] = 0
    assert board.arrived(claim, 2)
    (second,) = board.plan()
    assert len(second.slots) == 1, "what has arrived still takes up its room"
    board.settle(claim, 2)
    assert board.plan() == [], "the second claim is still under way"
    assert (subscription.held, subscription.reserved) == (2, 1)
    assert not board.arrived(second, 0)
    assert not board.arrived(second, 1), "it has arrived already"
    board.settle(second, 0)
    assert (subscription.held, subscription.reserved) == (2, 0)
    assert board.plan() == []


def test_wake_during_a_claim_is_not_lost() -> None:
    board = Board()
    board.join(worker("w", 10))
    (claim,) = board.plan()
    assert board.wake(["q"])
    board.settle(claim, 0)
    assert slots(board.plan()) == {"q": ["w"] * 10}


def test_short_claim_lets_the_queue_rest() -> None:
    board = Board()
    board.join(worker("w", 10))
    (claim,) = board.plan()
    board.settle(claim, 9)
    assert board.plan() == []
    assert board.hungry() == ["q"]


def test_full_claim_asks_again() -> None:
    board = Board()
    subscription = worker("w", 2)
    board.join(subscription)
    (claim,) = board.plan()
    board.settle(claim, 2)
    assert board.plan() == []
    subscription.window = 3
    assert slots(board.plan()) == {"q": ["w"]}


def test_worker_that_leaves_during_a_claim_blocks_nobody() -> None:
    board = Board()
    gone, other = worker("gone", 2), worker("other", 2)
    board.join(gone)
    board.join(other)
    (claim,) = board.plan()
    board.leave(gone)
    board.settle(claim, 4)
    assert (other.held, other.reserved) == (2, 0)
    assert board.plan() == []
    other.hold("q", -2)
    assert slots(board.plan()) == {"q": ["other", "other"]}


def test_last_worker_takes_the_queue_along() -> None:
    board = Board()
    subscription = worker()
    board.join(subscription)
    (claim,) = board.plan()
    board.leave(subscription)
    assert board.queues == []
    assert not board.wake(["q"])
    board.settle(claim, 1)
    assert board.plan() == []


def test_worker_that_comes_back_during_a_claim_is_served() -> None:
    board = Board()
    subscription = worker("old")
    board.join(subscription)
    (claim,) = board.plan()
    board.leave(subscription)
    board.join(worker("new"))
    assert board.plan() == []
    board.settle(claim, 0)
    assert slots(board.plan()) == {"q": ["new"]}


def test_queue_without_a_worker_is_not_woken() -> None:
    board = Board()
    assert not board.wake(["q"])
    board.join(worker("w", 1, p=0))
    assert not board.wake(["q"])
    assert slots(board.plan()) == {"p": ["w"]}


def test_closed_window_takes_nothing() -> None:
    board = Board()
    subscription = worker("w", 0)
    board.join(subscription)
    assert board.plan() == []
    subscription.window = 1
    assert slots(board.plan()) == {"q": ["w"]}
