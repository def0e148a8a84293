"""The end of a lease, as decided and as written. Pure values."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from jobsvc.domain.job import JobState, JobStatus
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.outcome import OUTCOME_REJECTED, Finish, Requeue


class Progress(msgspec.Struct, frozen=True):
    """How far an attempt came, in the words of its worker."""

    percent: int
    message: str = ""


class End(msgspec.Struct, frozen=True):
    """A decided end of a lease.

    With `until`, it counts only if the lease has not been extended past that time.
    `retention_seconds` and `progress` apply to a job that finishes; `progress` None keeps the last
    one of the lease. `with_status` asks for the status of the job that finishes.
    """

    id: LeaseId
    verdict: Finish | Requeue
    retention_seconds: float
    until: datetime | None = None
    progress: Progress | None = None
    with_status: bool = False


def ends_instead(end: End) -> Sequence[End]:
    """Returns what ends a lease if the database cannot store `end`, to be tried in turn: the same
    without its progress; a failure, or the cancellation as decided, that keeps nothing of the
    outcome. Reported again and again, it would never end."""
    verdict = end.verdict
    is_cancelled = isinstance(verdict, Finish) and verdict.state is JobState.CANCELLED
    state = JobState.CANCELLED if is_cancelled else JobState.FAILED
    bare = End(end.id, Finish(state, error=OUTCOME_REJECTED), end.retention_seconds, end.until)
    return [bare] if end.progress is None else [replace(end, progress=None), bare]


class Requeued(msgspec.Struct, frozen=True):
    """A job that is back in its queue, ready at `run_time`."""

    queue: str
    run_time: datetime


#: Result of writing an end: True for a job that finished, or its status (`with_status`), or how it
#: finished if that was not as decided (`ends_instead`), `Requeued` for one that waits again, False
#: for a lease that was not current.
Ended = Requeued | Finish | JobStatus | bool
