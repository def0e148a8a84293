"""How many jobs a claim asks for."""

import pytest

from jobsvc.dispatch.planner import (
    MAX_CLAIM_SIZE,
    MAX_SLOTS,
    MIN_SLOTS,
    UNKNOWN_SIZE,
    ClaimPlanner,
)
from jobsvc.dispatch.subscription import MAX_UNSENT_SIZE
from tests.dispatch.support.planner import ask, back_up, end, slots, worker


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
