"""The failures of a call, as exceptions. All of them are `CallFailed`."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from jobsvc.domain.errors import Violation


class CallFailed(Exception):
    """The server refused a call, or could not be reached.

    `code` is the name of the gRPC status (`"NOT_FOUND"`), `reason` the cause as
    the contract names it (`"JOB_NOT_FOUND"`, empty when the answer did not come
    from jobsvc: such an answer is UNAVAILABLE unless its status says more than
    that the connection broke), `message` a text for people. `metadata` holds facts for
    programs, `violations` the defective fields of the request.
    `retry_delay_seconds` is the delay that the server suggests before another
    try; None when it suggests none.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_delay_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_delay_seconds = retry_delay_seconds

    def __str__(self) -> str:
        cause = f" ({self.reason})" if self.reason else ""
        return f"{self.code}{cause}: {self.message}"

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later. It may also have taken effect already.

        CANCELLED is the status of a call that arrives while its server stops.
        """
        return self.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"} or (
            self.code == "RESOURCE_EXHAUSTED" and self.retry_delay_seconds is not None
        )


class JobNotFound(CallFailed):
    """No such job; it may have been removed after its retention."""


class BulkOperationNotFound(CallFailed):
    """No such bulk operation; it may have been removed after its retention."""


class QueueNotFound(CallFailed):
    """No such queue."""


class JobNotOwned(CallFailed):
    """The job belongs to another service, session or user."""


class InvalidRequest(CallFailed):
    """The request breaks the rules of the contract; `violations` says where."""


class PayloadRejected(InvalidRequest):
    """The input is no JSON object, or does not fit the schema of its queue."""


class PayloadTooLarge(InvalidRequest):
    """The input, or the request as a whole (then RESOURCE_EXHAUSTED), is larger than the server,
    or a proxy before it, accepts."""


class UniqueKeyTaken(CallFailed):
    """A job that has not ended holds the unique key."""


class RequestIdReused(CallFailed):
    """The request id was used before, for another job, and is remembered still."""


class JobStateConflict(CallFailed):
    """The job is in a state in which this cannot be done; `metadata["state"]` names it."""


class EtagMismatch(CallFailed):
    """The job, or the queue, has changed since its etag was read."""


class Overloaded(CallFailed):
    """The server was at its limit of concurrent work as long as the call had time; nothing was
    done."""


class Unavailable(CallFailed):
    """The server or its database cannot be reached. The call may have taken effect."""


class DeadlineExceeded(CallFailed):
    """No answer came in time. The call may have taken effect."""


_BY_REASON: Mapping[str, type[CallFailed]] = MappingProxyType(
    {
        "JOB_NOT_FOUND": JobNotFound,
        "BULK_OPERATION_NOT_FOUND": BulkOperationNotFound,
        "QUEUE_NOT_FOUND": QueueNotFound,
        "JOB_NOT_OWNED": JobNotOwned,
        "PAYLOAD_REJECTED": PayloadRejected,
        "PAYLOAD_TOO_LARGE": PayloadTooLarge,
        "UNIQUE_KEY_TAKEN": UniqueKeyTaken,
        "REQUEST_ID_REUSED": RequestIdReused,
        "JOB_STATE_CONFLICT": JobStateConflict,
        "ETAG_MISMATCH": EtagMismatch,
    }
)
_BY_CODE: Mapping[str, type[CallFailed]] = MappingProxyType(
    {
        "INVALID_ARGUMENT": InvalidRequest,
        "RESOURCE_EXHAUSTED": Overloaded,
        "UNAVAILABLE": Unavailable,
        "DEADLINE_EXCEEDED": DeadlineExceeded,
    }
)


def failure_class(code: str, reason: str, message: str = "") -> type[CallFailed]:
    """Returns the exception of the reason, or else of the code, or else `CallFailed`."""
    # gRPC and proxies enforce limits of their own, so that nothing of ours is in their status:
    # "SERVER: Received message larger than max (5000098 vs. 4194304)".
    if code == "RESOURCE_EXHAUSTED" and not reason:
        if "message larger than max" in message:
            return CallFailed if "CLIENT: Received" in message else PayloadTooLarge
        if "HTTP 413" in message:
            return PayloadTooLarge
    return _BY_REASON.get(reason) or _BY_CODE.get(code) or CallFailed


def stream_silent(seconds: float) -> Unavailable:
    """Returns the failure of a status stream that said nothing for `seconds`."""
    return Unavailable("UNAVAILABLE", f"the status stream was silent for {seconds:g} s")


def no_answer(target: str) -> DeadlineExceeded:
    """Returns the failure of a creation on a stream whose result did not come in time."""
    return DeadlineExceeded("DEADLINE_EXCEEDED", f"no answer from {target or 'the server'} in time")
