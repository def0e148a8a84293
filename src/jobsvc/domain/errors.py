"""Errors that a caller may see. Free of gRPC: api/status.py translates them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Violation:
    """One defect of a request: the path of the field, and a description of the defect."""

    field: str
    description: str


class JobsvcError(Exception):
    """Base of every error that a caller may see. `message` is written for people."""

    def __init__(self, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        #: Facts for programs; they travel in `google.rpc.ErrorInfo.metadata`.
        self.metadata = metadata


class InvalidRequest(JobsvcError):
    """Fields of a request break the rules of the contract."""

    def __init__(self, violations: Sequence[Violation], **metadata: str) -> None:
        first = violations[0]
        super().__init__(f"{first.field}: {first.description}", **metadata)
        self.violations = list(violations)

    def at(self, prefix: str, **metadata: str) -> Self:
        """The same error about an item of a list; `prefix` is the path of the item."""
        violations = [Violation(prefix + v.field, v.description) for v in self.violations]
        return type(self)(violations, **self.metadata, **metadata)

    def with_those_of(self, other: "InvalidRequest") -> Self:
        """The same error with the violations of another one too, if that is of the same kind."""
        if type(other) is not type(self):
            return self
        return type(self)([*self.violations, *other.violations], **self.metadata)


class PayloadRejected(InvalidRequest):
    """A payload is no JSON object, or does not fit the schema of its queue."""


class PayloadTooLarge(InvalidRequest):
    """A payload is larger than the server accepts."""


class PageTokenInvalid(JobsvcError):
    """A page token was not made by this server for this request."""


class WorkProtocolViolation(JobsvcError):
    """A frame on a `Work` stream is out of order or malformed; then `violations` has the fields
    that break a rule, with their paths from the frame on."""

    def __init__(self, message: str, violations: Sequence[Violation] = ()) -> None:
        super().__init__(message)
        self.violations = list(violations)

    @classmethod
    def of(cls, frame: str, violations: Sequence[Violation]) -> Self:
        """The error about fields of a frame, whose kind is `frame`."""
        first = violations[0]
        return cls(
            f"{frame}: {first.field}: {first.description}",
            [Violation(f"{frame}.{v.field}", v.description) for v in violations],
        )


class CredentialsMissing(JobsvcError):
    """The call does not say who makes it."""


class CredentialsInvalid(JobsvcError):
    """What the call says about who makes it does not hold."""


class RoleRequired(JobsvcError):
    """The caller may not make the call. Says nothing about what there is."""

    def __init__(self, roles: Iterable[str], queue: str = "") -> None:
        wanted = " or ".join(roles)
        metadata = {"roles": wanted} | ({"queue": queue} if queue else {})
        super().__init__(
            f"needs the role {wanted}{queue and f' for the queue {queue}'}", **metadata
        )


class JobNotOwned(JobsvcError):
    """The job belongs to somebody else."""


class JobNotFound(JobsvcError):
    """No such job."""

    def __init__(self, job_id: str) -> None:
        super().__init__(f"job {job_id} does not exist", jobId=job_id)
        self.job_id = job_id


class BulkOperationNotFound(JobsvcError):
    """No such bulk operation."""

    def __init__(self, operation_id: str) -> None:
        super().__init__(f"operation {operation_id} does not exist", operationId=operation_id)


class BulkOperationNotOwned(JobsvcError):
    """The bulk operation belongs to somebody else."""


class QueueNotFound(JobsvcError):
    """No such queue."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue} does not exist", queue=queue)
        self.queue = queue


class QueueExists(JobsvcError):
    """There is a queue of that name already."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue} exists", queue=queue)


class QueueNotEmpty(JobsvcError):
    """The queue has jobs that have not ended."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue} has jobs that have not ended", queue=queue)


class QueueBeingDeleted(JobsvcError):
    """The queue is being removed with all its jobs."""

    def __init__(self, queue: str) -> None:
        super().__init__(f"queue {queue} is being deleted", queue=queue)


class WorkerNotFound(JobsvcError):
    """No replica has seen such a worker lately."""

    def __init__(self, worker_id: str) -> None:
        super().__init__(f"worker {worker_id} was not seen in the last minute", workerId=worker_id)


class UniqueKeyTaken(JobsvcError):
    """A job that has not ended holds the unique key; `job_id` is empty if it is not to be named."""

    def __init__(self, unique_key: str, job_id: str, **metadata: str) -> None:
        holder = f"job {job_id}" if job_id else "a job of another service"
        super().__init__(f"unique_key is held by {holder}", jobId=job_id, **metadata)
        self.unique_key = unique_key


class RequestIdReused(JobsvcError):
    """The request id was used before, for another request."""

    def __init__(self, request_id: str, **metadata: str) -> None:
        super().__init__(
            f"request_id {request_id} was used before with another spec",
            requestId=request_id,
            **metadata,
        )
        self.request_id = request_id


class JobStateConflict(JobsvcError):
    """The job is in a state in which this cannot be done with it."""

    def __init__(self, job_id: str, state: str, message: str) -> None:
        super().__init__(message, jobId=job_id, state=state)


class LeaseLost(JobsvcError):
    """The lease is not the current one of its job."""

    def __init__(self, lease_id: str) -> None:
        super().__init__(f"lease {lease_id} is not current", leaseId=lease_id)
        self.lease_id = lease_id


class EtagMismatch(JobsvcError):
    """The record has changed since the etag was read."""


class WorkerReplaced(JobsvcError):
    """Another stream of the same worker id took over."""


class WorkerIdInUse(JobsvcError):
    """Another stream has the worker id, and this one does not show that it is the same worker."""

    def __init__(self, worker_id: str) -> None:
        super().__init__(
            f"worker_id {worker_id} is in use by another stream; every process needs its own",
            workerId=worker_id,
        )


class WorkerDeaf(JobsvcError):
    """The worker did not acknowledge a dispatch in time."""


class RateLimited(JobsvcError):
    """The server, or the caller, has as much in progress as it may, or calls more often. `subject`
    says of what, and for whom; the same again is worth a try after `retry_seconds`."""

    def __init__(self, message: str, subject: str, *, retry_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.subject = subject
        self.retry_seconds = retry_seconds


class StreamLimit(RateLimited):
    """The server, or the caller, holds as many streams as it may."""


class QueueLimit(RateLimited):
    """There are as many queues as there may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} queues already, as many as there may be", "queues")


class BulkOperationLimit(RateLimited):
    """As many bulk operations run as may."""


class QueueFull(RateLimited):
    """As many jobs wait in the queue as may."""

    def __init__(self, queue: str, limit: int) -> None:
        super().__init__(f"queue {queue} has {limit} waiting jobs, its max_waiting", queue)
        self.metadata = {"queue": queue, "maxWaiting": str(limit)}


class ServiceFull(RateLimited):
    """As many jobs of the caller's service wait as may."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} jobs of your service wait, as many as may; try again",
            "your share of waiting jobs",
        )


class DatabaseFailure(JobsvcError):
    """The database did not do what it was asked for. A loop expects this, and goes on."""


class DatabaseUnavailable(DatabaseFailure):
    """The database does not answer, or refuses what it must do for jobsvc: try again."""

    def __init__(self, message: str, is_refusal: bool = False) -> None:
        super().__init__(message)
        #: It is there, and refuses: nothing will be different soon.
        self.is_refusal = is_refusal


class NotStorable(InvalidRequest, DatabaseFailure):
    """The database cannot store the values of a request. The same again is refused again."""


class ServerDraining(JobsvcError):
    """The server is about to exit."""


class SlowConsumer(JobsvcError):
    """A stream is not read: more updates are pending on it than may be."""
