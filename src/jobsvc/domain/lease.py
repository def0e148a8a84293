"""A job in the hands of a worker: pure values."""

import re
from datetime import datetime, timedelta

import msgspec

from jobsvc.domain.job import JobError
from jobsvc.domain.outcome import Terms

_LEASE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(?:0|[1-9][0-9]{0,17})")


class LeaseId(str):
    """One delivery of one job, as it stands on the wire: `{job id}.{number}`.

    The number comes from a sequence and never repeats.
    """

    __slots__ = ()

    @classmethod
    def of(cls, job_id: object, number: int) -> "LeaseId":
        """The lease of this number; `job_id` is a UUID, or spelled as one."""
        return cls(f"{job_id}.{number}")

    @classmethod
    def parse(cls, text: str) -> "LeaseId | None":
        """The lease that `text` names; None for a text that no server has made."""
        return cls(text) if _LEASE_ID.fullmatch(text) else None

    @property
    def job_id(self) -> str:
        """The job that was delivered."""
        return self[:36]

    @property
    def number(self) -> int:
        """Which of its deliveries."""
        return int(self[37:])


class LeaseTerms(msgspec.Struct, frozen=True):
    """All of a lease, but for its id, that is needed to decide about its end. Leases that
    one claim gives to a worker share it if they are alike.

    `retention_seconds` None means the server's default; `has_request` that the
    request id of the job must be remembered for a while.
    """

    queue: str
    worker_id: str
    terms: Terms
    retention_seconds: float | None
    has_request: bool
    output_schema_id: int | None
    traceparent: str
    tracestate: str


class LapsedLease(msgspec.Struct, frozen=True):
    """A lease that may have run out, with the database's clock when that was seen."""

    id: LeaseId
    held: LeaseTerms
    until: datetime
    deadline: datetime
    expire_time: datetime | None
    read_time: datetime


class Delivery(msgspec.Struct, frozen=True):
    """What a worker gets along with a job. Jobs that one claim gives to it share it if they are
    alike."""

    held: LeaseTerms
    duration_seconds: float
    attempt_timeout_seconds: float
    labels: dict[str, str]
    owner_service: str
    owner_user: str
    has_session: bool
    previous_error: JobError | None


class LeasedJob(msgspec.Struct, frozen=True):
    """A job on its way to a worker. `input` is JSON text, None for the empty object."""

    id: LeaseId
    create_time: datetime
    input: str | None
    delivery: Delivery


class Slot(msgspec.Struct, frozen=True):
    """Room for one more lease at a worker."""

    worker_id: str
    duration_seconds: float


class QueuePosition(msgspec.Struct, frozen=True):
    """Where a job stands in its queue: the smallest rank leaves first, then the earliest time."""

    rank: int
    run_time: datetime

    def earlier(self, seconds: float) -> "QueuePosition":
        """The place of a job of this rank that was ready so long before."""
        return QueuePosition(self.rank, self.run_time - timedelta(seconds=seconds))


class Extension(msgspec.Struct, frozen=True):
    """A worker's wish to keep a lease, and how far it has come.

    `duration_seconds` None keeps the length the lease was taken with;
    `percent` None keeps the last progress; `worker_id` None means any holder.
    """

    id: LeaseId
    duration_seconds: float | None = None
    percent: int | None = None
    message: str = ""
    worker_id: str | None = None


class Extended(msgspec.Struct, frozen=True):
    """How an extended lease stands."""

    expires_in_seconds: float
    cancel_requested: bool
    cancel_reason: str
