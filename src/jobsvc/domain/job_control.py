"""What a caller may do with a job in which state, and the change of one. Pure."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from google.rpc import code_pb2

from jobsvc.domain.errors import EtagMismatch, InvalidRequest, JobStateConflict, Violation
from jobsvc.domain.job import ENDED, Job, JobError, JobState

#: States from which a job can be queued again.
RETRYABLE = frozenset({JobState.FAILED, JobState.CANCELLED})
#: In the history, the error of a cancelled attempt that brought none of its own.
ATTEMPT_CANCELLED = JobError(
    code_pb2.CANCELLED, "ATTEMPT_CANCELLED", "the attempt ended because the job was cancelled"
)


class Control(StrEnum):
    """What a caller does with a job, in the words of an error."""

    CANCEL = "cancelled"
    RETRY = "retried"
    UPDATE = "changed"
    DELETE = "deleted"


#: The states in which a job can be controlled so.
ALLOWED: dict[Control, frozenset[JobState]] = {
    Control.CANCEL: frozenset({JobState.PENDING, JobState.PROCESSING, JobState.CANCELLED}),
    Control.RETRY: RETRYABLE,
    Control.UPDATE: frozenset({JobState.PENDING}),
    Control.DELETE: ENDED,
}


def check_control(job: Job, control: Control, etag: str) -> None:
    """Checks that a job may be controlled so; `etag` empty means any.

    Raises:
        EtagMismatch: the job has changed since its etag was read.
        JobStateConflict: it is in another state.
    """
    if etag and etag != job.etag:
        raise EtagMismatch(
            "the job has changed since its etag was read", jobId=job.id, etag=job.etag
        )
    state = job.status.state
    if state not in ALLOWED[control]:
        message = conflict_message(state, ALLOWED[control], control)
        raise JobStateConflict(job.id, state.name, message)


def conflict_message(state: JobState, allowed: Iterable[JobState], control: Control) -> str:
    """Returns why a job in a state is not controlled so, where only others are."""
    states = " or ".join(other.name for other in sorted(allowed))
    return f"it is {state.name}; only a job in {states} can be {control}"


def is_cancelled(job: Job) -> bool:
    """Whether the job is cancelled already, or its cancellation is requested."""
    return job.status.state is JobState.CANCELLED or job.status.cancel_request_time is not None


class JobChange(msgspec.Struct, frozen=True):
    """New values of those fields of a job that `fields` names; the others count for nothing.

    `input` is JSON text, None for the empty object, and `payload` is what it encodes.
    """

    fields: frozenset[str]
    priority: int = 0
    schedule_time: datetime | None = None
    expire_time: datetime | None = None
    labels: dict[str, str] = {}
    input: str | None = None
    payload: dict[str, Any] = {}


#: The fields of a job that can be changed, named as in the contract and in the database.
CHANGEABLE = ("priority", "schedule_time", "expire_time", "labels", "input")


def check_can_begin(
    change: JobChange, expire_time: datetime | None, run_time: datetime | None, read_time: datetime
) -> None:
    """Checks that the changed job may begin before it expires, by the clock of its read. The times
    are those of the job as it is.

    Raises:
        InvalidRequest: naming the field that was changed.
    """
    changed = [name for name in ("expire_time", "schedule_time") if name in change.fields]
    end = change.expire_time if "expire_time" in changed else expire_time
    if not changed or end is None:
        return
    begin = change.schedule_time if "schedule_time" in changed else run_time
    if end <= max(begin or read_time, read_time):
        described = "the job would expire before it may run, by the clock of the database"
        raise InvalidRequest([Violation(f"spec.{changed[0]}", described)])
