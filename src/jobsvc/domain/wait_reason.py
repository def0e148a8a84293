"""Why a job is not running yet. Pure."""

from enum import IntEnum

from jobsvc.domain.job import Job, JobState


class WaitReason(IntEnum):
    """Reason why a job is PENDING, numbered as in the contract."""

    UNSPECIFIED = 0
    SCHEDULE_TIME = 1
    RETRY_DELAY = 2
    NO_WORKER = 3
    WORKERS_BUSY = 4
    QUEUE_PAUSED = 5


def wait_reason(job: Job, paused: bool, workers: int, open_window: int) -> WaitReason:
    """Returns why a job is PENDING, given its queue and the workers subscribed to it.

    UNSPECIFIED if the job is about to be dispatched, or is not PENDING.
    """
    status = job.status
    if status.state is not JobState.PENDING:
        return WaitReason.UNSPECIFIED
    if status.run_time is not None and status.run_time > job.read_time:
        return WaitReason.RETRY_DELAY if status.attempt else WaitReason.SCHEDULE_TIME
    if paused:
        return WaitReason.QUEUE_PAUSED
    if not workers:
        return WaitReason.NO_WORKER
    return WaitReason.UNSPECIFIED if open_window else WaitReason.WORKERS_BUSY
