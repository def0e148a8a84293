"""Bulk operations: one thing that is done with all jobs of a filter, batch by batch. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import NamedTuple

import msgspec

from jobsvc.domain.errors import BulkOperationNotOwned
from jobsvc.domain.job import JobState
from jobsvc.domain.job_control import ALLOWED, Control, JobChange
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner


class BulkKind(StrEnum):
    """What is done with each job; the names are those of the contract and of the table."""

    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"
    UPDATE = "update"

    @property
    def control(self) -> Control:
        """The same as it is done with a single job."""
        return Control[self.name]

    @property
    def states(self) -> frozenset[JobState]:
        """The states of jobs with which it can be done. One that is cancelled is not cancelled
        again."""
        allowed = ALLOWED[self.control]
        return allowed - {JobState.CANCELLED} if self is BulkKind.CANCEL else allowed


class BulkState(IntEnum):
    """State of an operation; numbered as in the contract and in the table."""

    RUNNING = 1
    COMPLETED = 2
    STOPPED = 3


class SkipReason(StrEnum):
    """Why a job is skipped, or waited for: as the call for one job fails."""

    JOB_STATE_CONFLICT = "JOB_STATE_CONFLICT"
    JOB_NOT_FOUND = "JOB_NOT_FOUND"
    QUEUE_NOT_FOUND = "QUEUE_NOT_FOUND"
    QUEUE_FULL = "QUEUE_FULL"
    UNIQUE_KEY_TAKEN = "UNIQUE_KEY_TAKEN"
    INVALID_REQUEST = "INVALID_REQUEST"


class BulkAction(msgspec.Struct, frozen=True):
    """What is done, with the options of that kind; the others are as they stand here."""

    kind: BulkKind
    reason: str = ""
    extra_attempts: int = 0
    change: JobChange | None = None
    #: How many jobs of the owner's service may wait; None for any number.
    most_waiting: int | None = None


class BulkRequest(msgspec.Struct, frozen=True):
    """What a caller asks for. `rate` is jobs a second, `most` jobs in all; 0 for no limit."""

    wanted: JobFilter
    action: BulkAction
    rate: float = 0.0
    most: int = 0


class Skip(msgspec.Struct, frozen=True):
    """A job that was not touched, and why."""

    job_id: str
    reason: SkipReason
    message: str


class BulkOperation(msgspec.Struct, frozen=True):
    """An operation as it is now.

    `position` is the job behind which it goes on, towards older ones; None at the beginning.
    `next_time` is when its next batch is due.
    """

    id: str
    owner: Owner
    request: BulkRequest
    state: BulkState
    version: int
    position: str | None
    done: int
    skipped: Mapping[str, int]
    last_error: Skip | None
    create_time: datetime
    update_time: datetime
    next_time: datetime
    end_time: datetime | None = None
    purge_time: datetime | None = None

    @property
    def wanted(self) -> JobFilter:
        """The jobs that it touches: those of its filter in a state that allows it, that were
        created before the operation."""
        return touchable(self.request, self.create_time)

    def most_of_batch(self, most: int) -> int:
        """Returns how many jobs a batch may touch that is to have `most` of them."""
        limit = self.request.most
        return min(most, limit - self.done) if limit else most


def touchable(request: BulkRequest, before: datetime | None = None) -> JobFilter:
    """Returns the filter of a request, narrowed to the states that allow the action and to jobs
    created before a moment."""
    wanted = request.wanted
    until = wanted.create_time_until
    return msgspec.structs.replace(
        wanted,
        states=wanted.states or request.action.kind.states,
        create_time_until=before if until is None or (before and before < until) else until,
    )


def fitting(queues: Sequence[str], room: Mapping[str, int]) -> int:
    """Returns how many jobs, from the first on, find room in their queues; a queue that is not in
    `room` has no limit."""
    left = dict(room)
    for index, queue in enumerate(queues):
        if queue in left:
            left[queue] -= 1
            if left[queue] < 0:
                return index
    return len(queues)


class BatchResult(NamedTuple):
    """What a batch did. `position` None: there are no more jobs. `waits_for` is the job that the
    operation cannot pass yet."""

    done: int
    skips: Sequence[Skip]
    position: str | None
    waits_for: Skip | None = None


class Progress(NamedTuple):
    """What changes in an operation."""

    position: str | None
    done: int
    skipped: Mapping[str, int]
    last_error: Skip | None
    is_complete: bool


def progress(operation: BulkOperation, result: BatchResult) -> Progress:
    """Returns how an operation stands after a batch."""
    done = operation.done + result.done
    skipped = dict(operation.skipped)
    for skip in result.skips:
        skipped[skip.reason] = skipped.get(skip.reason, 0) + 1
    is_at_end = result.position is None and result.waits_for is None
    most = operation.request.most
    last_error = operation.last_error
    if last_error is not None and last_error.reason is SkipReason.QUEUE_FULL:
        last_error = None  # It waits no more.
    if result.skips:
        last_error = result.skips[-1]
    return Progress(
        operation.position if result.position is None else result.position,
        done,
        skipped,
        result.waits_for or last_error,
        is_at_end or bool(most and done >= most),
    )


def check_operation_owner(caller: Owner, operation: BulkOperation) -> None:
    """Checks that `caller` may see an operation: as for a job.

    Raises:
        BulkOperationNotOwned: it belongs to somebody else.
    """
    if caller.owns(operation.owner):
        return
    metadata = {"operationId": operation.id}
    if caller.session_hash is None and not caller.user_id:
        metadata["missingMetadata"] = "x-session-id"
    raise BulkOperationNotOwned("the operation belongs to somebody else", **metadata)
