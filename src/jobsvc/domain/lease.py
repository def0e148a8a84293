"""Leases: a job in the hands of a worker. Pure values."""

import re
from datetime import datetime, timedelta

import msgspec

from jobsvc.domain.job import JobError
from jobsvc.domain.retry import RetryPolicy

_LEASE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(0|-?[1-9][0-9]{0,18})")
#: What the column lease_id can hold.
_NUMBERS = range(-(2**63), 2**63)


class LeaseId(str):
    """Names one delivery of one job, as on the wire: `{job id}.{number}`.

    The number is random, 64 bits with a sign: nobody can guess the lease of another, and no two
    leases of a job share one.
    """

    __slots__ = ()

    @classmethod
    def of(cls, job_id: object, number: int) -> "LeaseId":
        """Returns the id of lease `number` of a job; `job_id` is a UUID, or spelled as one."""
        return cls(f"{job_id}.{number}")

    @classmethod
    def parse(cls, text: str) -> "LeaseId | None":
        """Returns the lease id that `text` spells; None for a text that no server has made."""
        found = _LEASE_ID.fullmatch(text)
        return cls(text) if found and int(found[1]) in _NUMBERS else None

    @property
    def job_id(self) -> str:
        """The job that was delivered."""
        return self[:36]

    @property
    def number(self) -> int:
        """The number of the delivery."""
        return int(self[37:])


class LeaseTerms(msgspec.Struct, frozen=True):
    """Everything about a lease, except its id, that the decision about its end needs.

    Leases that one claim gives to a worker share one object if their terms are equal.

    `attempt` counts this one. `retention_seconds` None means the server's default. `lease_time` is
    when it was leased, by the monotonic clock of this process: nothing is decided by it.
    """

    queue: str
    worker_id: str
    attempt: int
    retry: RetryPolicy
    cancel_requested: bool
    retention_seconds: float | None
    output_schema_id: int | None
    traceparent: str
    tracestate: str
    lease_time: float = 0.0


class LapsedLease(msgspec.Struct, frozen=True):
    """A lease that may have run out. `read_time` is the database's clock when it was read.

    An extension makes it run for another `duration_seconds`, unless the worker asks otherwise.
    """

    id: LeaseId
    terms: LeaseTerms
    until: datetime
    deadline: datetime
    expire_time: datetime | None
    start_time: datetime
    duration_seconds: float
    read_time: datetime


class Delivery(msgspec.Struct, frozen=True):
    """Everything that a worker gets besides a job's id, creation time and input.

    Jobs that one claim gives to a worker share one object if the rest is equal.
    """

    terms: LeaseTerms
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
    """Capacity of a worker for one more lease."""

    worker_id: str
    duration_seconds: float


class NewLease(msgspec.Struct, frozen=True):
    """A lease that a job is to be created with, and the slot that it fills."""

    id: LeaseId
    slot: Slot


class QueuePosition(msgspec.Struct, frozen=True):
    """Position of a job in its queue: the smallest rank leaves first, then the earliest time."""

    rank: int
    run_time: datetime

    def earlier(self, seconds: float) -> "QueuePosition":
        """Returns the position of a job of the same rank that was ready `seconds` before."""
        return QueuePosition(self.rank, self.run_time - timedelta(seconds=seconds))


class Extension(msgspec.Struct, frozen=True):
    """A worker's request to keep a lease, with the progress of its work.

    `duration_seconds` None keeps the length the lease was taken with;
    `percent` None keeps the last progress; `worker_id` None means any holder.
    """

    id: LeaseId
    duration_seconds: float | None = None
    percent: int | None = None
    message: str = ""
    worker_id: str | None = None


class Extended(msgspec.Struct, frozen=True):
    """State of a lease after its extension."""

    expires_in_seconds: float
    cancel_requested: bool
    cancel_reason: str
