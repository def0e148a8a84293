"""Where a claim begins to search its queue, and when it searches again."""

from jobsvc.dispatch.planner import (
    LATE_SECONDS,
    MAX_RESCAN_SECONDS,
    MAX_SLOTS,
    RESCAN_SECONDS,
    UNKNOWN_SIZE,
    ClaimPlanner,
    FollowUp,
)
from tests.dispatch.support.planner import POSITION, ask, back_up, worker


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
