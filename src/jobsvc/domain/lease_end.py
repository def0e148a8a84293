"""The end of a lease: what is to be written, and what came of it. Pure values."""

from datetime import datetime

import msgspec

from jobsvc.domain.lease import LeaseId
from jobsvc.domain.outcome import Finish, Requeue


class End(msgspec.Struct, frozen=True):
    """A decided end of a lease. `until` set: only if it has not been extended past that.

    `retention_seconds` counts for a job that finishes.
    """

    id: LeaseId
    verdict: Finish | Requeue
    retention_seconds: float
    until: datetime | None = None


class Requeued(msgspec.Struct, frozen=True):
    """A job that waits again."""

    queue: str
    run_time: datetime


#: What became of an end: the job finished, waits again, or the lease was not current.
Ended = Requeued | bool
