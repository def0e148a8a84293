"""What the figures of queues mean: each limit, from both sides."""

from dataclasses import replace

import pytest

from jobsvc.domain.finding import Check
from jobsvc.domain.queue import QueueCounts
from jobsvc.domain.work_checks import (
    Overdue,
    RecentEnds,
    Versions,
    check_ends,
    check_overdue,
    check_queues,
    check_versions,
)

QUEUE = QueueCounts("q", False, False, 5, 3, 1, 59.0, workers=0, open_window=0)


@pytest.mark.parametrize(
    ("changes", "checks"),
    [
        ({}, []),
        ({"oldest_ready_seconds": 60.0}, [Check.QUEUE_WITHOUT_WORKER]),
        ({"oldest_ready_seconds": 60.0, "workers": 1}, []),
        ({"oldest_ready_seconds": 599.0, "workers": 1}, []),
        ({"oldest_ready_seconds": 600.0, "workers": 1}, [Check.QUEUE_BEHIND]),
        ({"oldest_ready_seconds": 600.0, "deleting": True}, []),
        ({"oldest_ready_seconds": None, "ready": 0}, []),
        ({"oldest_ready_seconds": 0.0, "paused": True}, [Check.QUEUE_PAUSED]),
        ({"oldest_ready_seconds": 9999.0, "paused": True}, [Check.QUEUE_PAUSED]),
        ({"oldest_ready_seconds": None, "paused": True}, []),
        ({"max_waiting": 9}, []),
        ({"max_waiting": 8}, [Check.QUEUE_FULL]),
        ({"max_waiting": 0, "ready": 0, "scheduled": 0}, [Check.QUEUE_FULL]),
        ({"max_waiting": 8, "deleting": True}, []),
    ],
)
def test_queue_whose_jobs_do_not_run_is_told(
    changes: dict[str, object], checks: list[Check]
) -> None:
    queue = replace(QUEUE, **changes)  # type: ignore[arg-type]  # as the cases have them
    assert [found.kind for found in check_queues([queue])] == checks


def test_queue_that_waits_longest_comes_first() -> None:
    queues = [replace(QUEUE, name=n, oldest_ready_seconds=s) for n, s in (("a", 70.0), ("b", 90.0))]
    (found,) = check_queues(queues)
    assert found.names == ("b: 3 ready, the oldest for 90 s", "a: 3 ready, the oldest for 70 s")


def test_what_no_server_has_done_is_counted() -> None:
    assert list(check_overdue(Overdue(0, 0, 0))) == []
    leases, expiries, purges = check_overdue(Overdue(1, 999, 1000))
    assert leases.text.startswith("leases that ran out more than 120 s ago ")
    assert "(1)" in leases.text
    assert "(999)" in expiries.text
    assert purges.text.startswith("jobs whose retention ended more than 3600 s ago ")
    assert "(1,000 or more)" in purges.text


@pytest.mark.parametrize(
    ("ended", "failed", "is_told"), [(9, 4, False), (9, 5, True), (10, 5, True), (11, 5, False)]
)
def test_queue_whose_jobs_mostly_fail_is_told(ended: int, failed: int, is_told: bool) -> None:
    found = list(check_ends([RecentEnds("q", ended, failed)]))
    assert [one.kind for one in found] == ([Check.JOBS_FAIL] if is_told else [])


@pytest.mark.parametrize(("seconds", "is_told"), [(1799.0, False), (1800.0, True)])
def test_versions_that_differ_for_long_are_told(seconds: float, is_told: bool) -> None:
    names = [one.names for one in check_versions([Versions("q", ("1", "2"), seconds)])]
    assert names == ([("q: 1, 2",)] if is_told else [])
