"""A job, its states and its attempts. Pure: no I/O, no clock."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from types import MappingProxyType

import msgspec

from jobsvc.domain.owner import Owner
from jobsvc.domain.run_policy import RunPolicy


class JobState(IntEnum):
    """State of a job; numbered as in the contract and in the table `result`."""

    PENDING = 1
    PROCESSING = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5

    @property
    def ended(self) -> bool:
        """Whether the state is terminal."""
        return self in ENDED


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED})

#: Every step that a job may take. Tests compare the SQL constraints, the diagram in docs/states.md
#: and the life cycle of real rows with this table.
TRANSITIONS: MappingProxyType[JobState, frozenset[JobState]] = MappingProxyType(
    {
        # leased; expired or not started in time; cancelled while waiting
        JobState.PENDING: frozenset({JobState.PROCESSING, JobState.FAILED, JobState.CANCELLED}),
        # retry, release or lost lease; success; out of attempts or permanent; cancelled
        JobState.PROCESSING: frozenset(
            {JobState.PENDING, JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED}
        ),
        JobState.COMPLETED: frozenset(),
        # queued again by RetryJob
        JobState.FAILED: frozenset({JobState.PENDING}),
        JobState.CANCELLED: frozenset({JobState.PENDING}),
    }
)


@dataclass(frozen=True, slots=True)
class JobError:
    """Why an attempt failed. `code` is a `google.rpc.Code`, never OK."""

    code: int
    reason: str = ""
    message: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    stack_trace: str = ""


class JobOptions(msgspec.Struct, frozen=True):
    """How a job will run, with all defaults filled in. Jobs of a batch share one object.

    `schedule_time` and `schedule_delay_seconds` None mean now, `expire_time` and `ttl_seconds` None
    never (at most one of each pair is set). `run_policy` leaves open only what is OPTIONAL.
    """

    queue: str
    priority: int
    schedule_time: datetime | None
    expire_time: datetime | None
    ttl_seconds: float | None
    run_policy: RunPolicy
    labels: dict[str, str]
    output_schema_id: int | None
    schedule_delay_seconds: float | None = None

    def scheduled_at(self, create_time: datetime) -> datetime | None:
        """Schedule of a job created at that time, None for none; create_jobs.sql does the same."""
        if self.schedule_time is not None or self.schedule_delay_seconds is None:
            return self.schedule_time
        return create_time + _microseconds(self.schedule_delay_seconds)

    def run_time(self, create_time: datetime) -> datetime:
        """Earliest start of a job created at that time; create_jobs.sql does the same."""
        scheduled = self.scheduled_at(create_time)
        return create_time if scheduled is None else max(scheduled, create_time)

    def expires_at(self, create_time: datetime) -> datetime | None:
        """Expiry of a job created at that time, None for never; create_jobs.sql does the same."""
        if self.expire_time is not None or self.ttl_seconds is None:
            return self.expire_time
        return create_time + _microseconds(self.ttl_seconds)

    @property
    def may_expire(self) -> bool:
        """Whether a job may expire at all."""
        return self.expire_time is not None or self.ttl_seconds is not None

    def can_begin(self, create_time: datetime) -> bool:
        """Whether a job created at that time may run before it expires; create_jobs.sql writes no
        other."""
        end = self.expires_at(create_time)
        return end is None or end > self.run_time(create_time)


def _microseconds(seconds: float) -> timedelta:
    return timedelta(microseconds=round(seconds * 1_000_000))


class NewJob(msgspec.Struct, frozen=True):
    """A job to be created. `input` is JSON text, None for the empty object."""

    id: str
    options: JobOptions
    owner: Owner
    input: str | None
    unique_key: str | None = None
    request_id: str | None = None
    request_digest: bytes | None = None
    traceparent: str = ""
    tracestate: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt in the history of a job; `end_time` None while it runs."""

    attempt: int
    worker_id: str
    start_time: datetime | None
    end_time: datetime | None
    error: JobError | None


class JobStatus(msgspec.Struct, frozen=True):
    """The state of a job at one moment, with everything that goes with it."""

    state: JobState
    version: int
    attempt: int
    update_time: datetime
    run_time: datetime | None = None  # when a PENDING job may start
    progress_percent: int | None = None
    progress_message: str = ""
    output: str | None = None
    error: JobError | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    worker_id: str = ""
    lease_expire_time: datetime | None = None
    cancel_request_time: datetime | None = None
    cancel_reason: str = ""
    purge_time: datetime | None = None


class Job(msgspec.Struct, frozen=True):
    """A job as it is now: its options, its owner and its status.

    `read_time` is the database's clock at the read; it says what is "in the future".
    """

    id: str
    queue: str
    owner: Owner
    input: str | None
    priority: int
    schedule_time: datetime | None
    expire_time: datetime | None
    run_policy: RunPolicy
    unique_key: str | None
    labels: dict[str, str]
    traceparent: str
    tracestate: str
    create_time: datetime
    request_id: str | None
    request_digest: bytes | None
    status: JobStatus
    read_time: datetime

    @property
    def etag(self) -> str:
        """Opaque value that changes with every change of the job."""
        return etag_of(self.status)


class NewStatus(msgspec.Struct, frozen=True):
    """The status of a job as of a commit of this replica, which is known without reading it: what
    a read right after the commit would say of it."""

    id: str
    queue: str
    status: JobStatus
    read_time: datetime

    @property
    def etag(self) -> str:
        """As `Job.etag`."""
        return etag_of(self.status)


def etag_of(status: JobStatus) -> str:
    """Returns the etag of a job with this status."""
    return f"{status.version:x}"
