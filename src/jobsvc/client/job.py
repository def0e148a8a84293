"""A job as its caller sees it: plain values, no protobuf.

Times are aware datetimes in UTC by the server's clock; durations are seconds.
A value the server did not send is None, or an empty text where a text is meant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from jobsvc.client.json_form import JsonForm
from jobsvc.client.payload import decode_payload, decode_payload_as

T = TypeVar("T")


class JobState(StrEnum):
    """State of a job in its life cycle, a text as in the contract: `"COMPLETED"`."""

    #: A state that this version of the client does not know. Ask `JobStatus.ended`.
    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


_ENDED = (JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """Why an attempt failed.

    `code` is the name of a gRPC code (`"UNAVAILABLE"`), `reason` a cause for
    programs (`"UPSTREAM_TIMEOUT"`), `message` a text for people.
    """

    code: str
    reason: str = ""
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    stack_trace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One attempt in the history of a job; `end_time` is None while it runs."""

    attempt: int
    worker_id: str
    start_time: datetime | None
    end_time: datetime | None
    error: JobError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus(JsonForm):
    """How a job is doing. The status with the higher `version` is the newer one.

    `wait_reason` (`SCHEDULE_TIME`, `RETRY_DELAY`, `NO_WORKER`, `WORKERS_BUSY` or
    `QUEUE_PAUSED`), `wait_detail` (more about it, for people) and `recent_attempts`
    (at most ten, newest first) come with a job that was read by `get` or `wait`,
    never with an update.
    """

    state: JobState
    version: int
    attempt: int
    progress_percent: int | None = None
    progress_message: str = ""
    output_json: str | None = None
    error: JobError | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    update_time: datetime | None = None
    next_attempt_time: datetime | None = None
    wait_reason: str = ""
    wait_detail: str = ""
    worker_id: str = ""
    lease_expire_time: datetime | None = None
    cancel_request_time: datetime | None = None
    cancel_reason: str = ""
    recent_attempts: tuple[AttemptRecord, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether the job has ended, in any state."""
        return self.end_time is not None or self.state in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether the job COMPLETED."""
        return self.state is JobState.COMPLETED

    @property
    def output(self) -> Any:  # Any: whatever JSON the worker wrote
        """The result as Python objects, decoded anew each time; None while there is none."""
        return decode_payload(self.output_json)

    def output_as(self, kind: type[T]) -> T:
        """Returns the result as a `kind`: a `msgspec.Struct`, dataclass, TypedDict or other type.

        Raises:
            msgspec.ValidationError: the result does not fit, or there is none.
        """
        return decode_payload_as(self.output_json, kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(JsonForm):
    """A job as it was when the server answered: its options, and its status.

    `input_json` and the output are missing from the BASIC view, which `create`
    and `get(full=False)` return.
    """

    id: str
    queue: str
    status: JobStatus
    input_json: str | None = None
    priority: int = 0
    schedule_time: datetime | None = None
    expire_time: datetime | None = None
    attempt_timeout_seconds: float | None = None
    max_attempts: int | None = None
    retention_seconds: float | None = None
    start_within_seconds: float | None = None
    unique_key: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    service: str = ""
    user_id: str = ""
    has_session: bool = False
    create_time: datetime | None = None
    purge_time: datetime | None = None
    etag: str = ""
    traceparent: str = ""

    @property
    def state(self) -> JobState:
        """State of the job in its life cycle."""
        return self.status.state

    @property
    def ended(self) -> bool:
        """Whether the job has ended, in any state."""
        return self.status.ended

    @property
    def succeeded(self) -> bool:
        """Whether the job COMPLETED."""
        return self.status.succeeded

    @property
    def input(self) -> Any:  # Any: whatever JSON the caller sent
        """The input as Python objects, decoded anew each time; None where it was left out."""
        return decode_payload(self.input_json)

    @property
    def output(self) -> Any:  # Any: whatever JSON the worker wrote
        """The result as Python objects, decoded anew each time; None while there is none."""
        return self.status.output

    def output_as(self, kind: type[T]) -> T:
        """Returns the result as a `kind`; see `JobStatus.output_as`."""
        return self.status.output_as(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedJob(Job):
    """The reply to a creation, without input and output.

    `existing` says that the job had been created before: by an earlier try of
    this call, or under the same unique key. `id` is empty when the call only
    validated.
    """

    existing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUpdate(JsonForm):
    """A new status of a job."""

    job_id: str
    queue: str
    status: JobStatus
