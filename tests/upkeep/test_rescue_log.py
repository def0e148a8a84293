"""Only what was rescued is told, and many workers at once are a few lines."""

import logging

import pytest

from jobsvc.domain.lapse import Lapse
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.lease_end import End
from jobsvc.domain.outcome import Requeue
from jobsvc.event_log import MAX_LINES
from jobsvc.jobs.settle import DecidedEnd
from jobsvc.upkeep.rescue_log import RescueLog
from tests.support.samples import JOB_ID, terms


def lapsed(number: int, **changes: object) -> DecidedEnd:
    """The end of a lease that has expired: its job is retried."""
    end = End(LeaseId.of(JOB_ID, number), Requeue(1.0), 60.0)
    return DecidedEnd(terms(**changes), Lapse.LEASE_EXPIRED, end)


def test_lease_that_was_extended_meanwhile_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobsvc")
    first, second = lapsed(1, worker_id="a"), lapsed(2, worker_id="b")
    log = RescueLog()
    log.rescued([first, second], [second.end.id])
    log.rescued([first], [])
    (record,) = caplog.records
    assert record.worker_id == "b"  # type: ignore[attr-defined]


def test_jobs_of_200_workers_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobsvc")
    ends = [lapsed(number, worker_id=f"w{number}") for number in range(200)]
    RescueLog().rescued(ends, [item.end.id for item in ends])
    assert len(caplog.records) == MAX_LINES


def test_lease_that_is_left_alone_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "jobsvc")
    one, other = LeaseId.of(JOB_ID, 1), LeaseId.of(JOB_ID, 2)
    log = RescueLog()
    for excused in ([one], [one, other], [one, other], [], [one]):
        log.excused(excused)
    assert [r.job_count for r in caplog.records] == [1, 1, 1]  # type: ignore[attr-defined]
