"""Why a job waits."""

import pytest

from jobsvc.domain.job import JobState
from jobsvc.domain.wait_reason import WaitReason, wait_reason
from jobsvc.v1 import job_pb2
from tests.support.samples import NOW, SECOND, job

LATER = NOW + SECOND


@pytest.mark.parametrize("state", [s for s in JobState if s is not JobState.PENDING])
def test_job_that_is_not_pending_has_no_reason(state: JobState) -> None:
    moved = job(state=state, run_time=LATER, attempt=1)
    assert wait_reason(moved, paused=True, workers=0, open_window=0) is WaitReason.UNSPECIFIED


@pytest.mark.parametrize("paused", [True, False])
def test_time_comes_before_everything_else(paused: bool) -> None:
    scheduled, failed = job(run_time=LATER), job(run_time=LATER, attempt=1)
    assert wait_reason(scheduled, paused, 0, 0) is WaitReason.SCHEDULE_TIME
    assert wait_reason(failed, paused, 0, 0) is WaitReason.RETRY_DELAY


def test_pause_comes_before_the_workers() -> None:
    assert wait_reason(job(), True, 0, 0) is WaitReason.QUEUE_PAUSED
    assert wait_reason(job(), True, 3, 10) is WaitReason.QUEUE_PAUSED


@pytest.mark.parametrize(
    ("workers", "open_window", "reason"),
    [
        (0, 0, WaitReason.NO_WORKER),
        (2, 0, WaitReason.WORKERS_BUSY),
        (2, 1, WaitReason.UNSPECIFIED),
    ],
)
def test_ready_job_waits_for_workers(workers: int, open_window: int, reason: WaitReason) -> None:
    assert wait_reason(job(), False, workers, open_window) is reason


def test_due_now_is_not_the_future() -> None:
    assert wait_reason(job(run_time=NOW, attempt=1), False, 0, 0) is WaitReason.NO_WORKER


def test_reasons_are_numbered_as_in_the_contract() -> None:
    contract = {k.removeprefix("WAIT_REASON_"): v for k, v in job_pb2.WaitReason.items()}
    assert {reason.name: reason.value for reason in WaitReason} == contract
