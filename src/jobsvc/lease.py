"""A job in the hands of a worker: pure values."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from jobsvc.attempt import Terms
from jobsvc.job import JobError


@dataclass(frozen=True, slots=True)
class LeaseId:
    """One delivery of one job. `number` comes from a sequence and never repeats."""

    job_id: UUID
    number: int

    def __str__(self) -> str:
        return f"{self.job_id}.{self.number}"

    @classmethod
    def parse(cls, text: str) -> "LeaseId | None":
        """The lease that `text` names; None for a text that no server has made."""
        job_id, _, number = text.partition(".")
        if len(job_id) != 36 or not number.isascii() or not number.isdigit() or len(number) > 18:
            return None
        try:
            lease = cls(UUID(job_id), int(number))
        except ValueError:
            return None
        return lease if str(lease) == text else None


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease with all that is needed to decide about its end.

    `retention_seconds` None means the server's default; `has_request` that the
    request id of the job must be remembered for a while.
    """

    id: LeaseId
    queue: str
    worker_id: str
    terms: Terms
    retention_seconds: float | None
    has_request: bool
    output_schema_id: int | None
    traceparent: str
    tracestate: str


@dataclass(frozen=True, slots=True)
class LapsedLease:
    """A lease that may have run out, with the database's clock when that was seen."""

    held: HeldLease
    until: datetime
    deadline: datetime
    expire_time: datetime | None
    read_time: datetime


@dataclass(frozen=True, slots=True)
class LeasedJob:
    """What a worker gets: a lease and the job under it."""

    held: HeldLease
    duration_seconds: float
    input: str | None
    attempt_timeout_seconds: float
    labels: dict[str, str]
    owner_service: str
    owner_user: str
    has_session: bool
    create_time: datetime
    previous_error: JobError | None


@dataclass(frozen=True, slots=True)
class Slot:
    """Room for one more lease at a worker."""

    worker_id: str
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class Extension:
    """A worker's wish to keep a lease, and how far it has come.

    `duration_seconds` None keeps the length the lease was taken with;
    `percent` None keeps the last progress; `worker_id` None means any holder.
    """

    id: LeaseId
    duration_seconds: float | None = None
    percent: int | None = None
    message: str = ""
    worker_id: str | None = None


@dataclass(frozen=True, slots=True)
class Extended:
    """How an extended lease stands."""

    expires_in_seconds: float
    cancel_requested: bool
    cancel_reason: str
