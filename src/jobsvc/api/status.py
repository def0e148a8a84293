"""The one place where a domain error becomes a gRPC status with `google.rpc` details."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from jobsvc.domain import errors
from jobsvc.domain.errors import JobsvcError
from jobsvc.domain.limits import MAX_VIOLATIONS

DOMAIN = "jobsvc"

#: nginx answers 502 for more than 4 KiB of headers, and some clients drop a status of more than
#: 8 KiB, so texts are cut until all headers of a refusal fit into this.
MAX_HEADER_BYTES = 3_000
#: Limits in bytes of the message and of any other text: the first that fit are taken, and the last
#: always fit.
_CUTS = ((500, 300), (400, 150), (300, 100), (250, 75), (200, 50), (150, 35), (120, 20))
#: `:status`, content-type and grpc-status; and the names of the others. HPACK counts 32 bytes for
#: each header, and sends them as fewer.
_FIXED_HEADER_BYTES = 3 * 32 + len(":status200content-typeapplication/grpcgrpc-status16")
_NAME_BYTES = 2 * 32 + len("grpc-messagegrpc-status-details-bin")

#: Makes the details of an error, their texts cut to a number of bytes.
Details = Callable[[JobsvcError, int], Iterable[Message]]


class _Status(NamedTuple):
    code: int
    #: `reason` of the ErrorInfo.
    reason: str
    #: Returns the details that follow the ErrorInfo.
    details: Details = lambda *_: ()


def _bad_request(error: JobsvcError, max_bytes: int) -> Iterable[Message]:
    assert isinstance(error, errors.InvalidRequest | errors.WorkProtocolViolation)
    if not error.violations:  # The frame itself is wrong.
        return
    yield error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(
                field=_cut(v.field, max_bytes), description=_cut(v.description, max_bytes)
            )
            for v in error.violations[:MAX_VIOLATIONS]
        ]
    )


def _resource(kind: str, name: Callable[[JobsvcError], str]) -> Details:
    def details(error: JobsvcError, max_bytes: int) -> Iterable[Message]:
        yield error_details_pb2.ResourceInfo(
            resource_type=kind, resource_name=_cut(name(error), max_bytes)
        )

    return details


def _precondition(kind: str, subject: str) -> Details:
    def details(error: JobsvcError, max_bytes: int) -> Iterable[Message]:
        yield error_details_pb2.PreconditionFailure(
            violations=[
                error_details_pb2.PreconditionFailure.Violation(
                    type=kind,
                    subject=_cut(error.metadata.get(subject, ""), max_bytes),
                    description=_cut(error.message, max_bytes),
                )
            ]
        )

    return details


def _quota(error: JobsvcError, max_bytes: int) -> Iterable[Message]:
    assert isinstance(error, errors.RateLimited)
    yield error_details_pb2.QuotaFailure(
        violations=[
            error_details_pb2.QuotaFailure.Violation(
                subject=_cut(error.subject, max_bytes), description=_cut(error.message, max_bytes)
            )
        ]
    )


def _passing_quota(error: JobsvcError, max_bytes: int) -> Iterable[Message]:
    assert isinstance(error, errors.RateLimited)
    yield from _quota(error, max_bytes)
    yield _retry_after(error.retry_seconds)


def _retry(*_: object) -> Iterable[Message]:
    yield _retry_after(1.0)


def _retry_after(seconds: float) -> error_details_pb2.RetryInfo:
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(round(seconds * 1e9))
    return error_details_pb2.RetryInfo(retry_delay=delay)


_STATUSES: dict[type[JobsvcError], _Status] = {
    errors.InvalidRequest: _Status(code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", _bad_request),
    errors.PayloadRejected: _Status(code_pb2.INVALID_ARGUMENT, "PAYLOAD_REJECTED", _bad_request),
    errors.PayloadTooLarge: _Status(code_pb2.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE", _bad_request),
    errors.NotStorable: _Status(code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", _bad_request),
    errors.PageTokenInvalid: _Status(code_pb2.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
    errors.WorkProtocolViolation: _Status(
        code_pb2.INVALID_ARGUMENT, "WORK_PROTOCOL_VIOLATION", _bad_request
    ),
    errors.CredentialsMissing: _Status(code_pb2.UNAUTHENTICATED, "CREDENTIALS_MISSING"),
    errors.CredentialsInvalid: _Status(code_pb2.UNAUTHENTICATED, "CREDENTIALS_INVALID"),
    errors.RoleRequired: _Status(code_pb2.PERMISSION_DENIED, "ROLE_REQUIRED"),
    errors.JobNotOwned: _Status(code_pb2.PERMISSION_DENIED, "JOB_NOT_OWNED"),
    errors.JobNotFound: _Status(
        code_pb2.NOT_FOUND,
        "JOB_NOT_FOUND",
        _resource("jobsvc.v1.Job", lambda e: e.metadata["jobId"]),
    ),
    errors.BulkOperationNotFound: _Status(
        code_pb2.NOT_FOUND,
        "BULK_OPERATION_NOT_FOUND",
        _resource("jobsvc.v1.BulkOperation", lambda e: e.metadata["operationId"]),
    ),
    errors.BulkOperationNotOwned: _Status(code_pb2.PERMISSION_DENIED, "BULK_OPERATION_NOT_OWNED"),
    errors.QueueNotFound: _Status(
        code_pb2.NOT_FOUND,
        "QUEUE_NOT_FOUND",
        _resource("jobsvc.v1.Queue", lambda e: e.metadata["queue"]),
    ),
    errors.WorkerNotFound: _Status(
        code_pb2.NOT_FOUND,
        "WORKER_NOT_FOUND",
        _resource("worker_id", lambda e: e.metadata["workerId"]),
    ),
    errors.QueueExists: _Status(
        code_pb2.ALREADY_EXISTS,
        "QUEUE_EXISTS",
        _resource("jobsvc.v1.Queue", lambda e: e.metadata["queue"]),
    ),
    errors.UniqueKeyTaken: _Status(
        code_pb2.ALREADY_EXISTS,
        "UNIQUE_KEY_TAKEN",
        _resource("jobsvc.v1.Job", lambda e: e.metadata["jobId"]),
    ),
    errors.RequestIdReused: _Status(
        code_pb2.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
        _resource("request_id", lambda e: e.metadata["requestId"]),
    ),
    errors.WorkerIdInUse: _Status(
        code_pb2.ALREADY_EXISTS,
        "WORKER_ID_IN_USE",
        _resource("worker_id", lambda e: e.metadata["workerId"]),
    ),
    errors.JobStateConflict: _Status(
        code_pb2.FAILED_PRECONDITION, "JOB_STATE_CONFLICT", _precondition("JOB_STATE", "jobId")
    ),
    errors.LeaseLost: _Status(
        code_pb2.FAILED_PRECONDITION, "LEASE_LOST", _precondition("LEASE", "leaseId")
    ),
    errors.QueueNotEmpty: _Status(
        code_pb2.FAILED_PRECONDITION, "QUEUE_NOT_EMPTY", _precondition("QUEUE", "queue")
    ),
    errors.QueueBeingDeleted: _Status(
        code_pb2.FAILED_PRECONDITION, "QUEUE_BEING_DELETED", _precondition("QUEUE", "queue")
    ),
    errors.EtagMismatch: _Status(code_pb2.ABORTED, "ETAG_MISMATCH"),
    errors.WorkerReplaced: _Status(code_pb2.ABORTED, "WORKER_REPLACED"),
    errors.WorkerDeaf: _Status(code_pb2.UNAVAILABLE, "WORKER_DEAF", _retry),
    errors.StreamLimit: _Status(code_pb2.RESOURCE_EXHAUSTED, "STREAM_LIMIT", _passing_quota),
    errors.RateLimited: _Status(code_pb2.RESOURCE_EXHAUSTED, "RATE_LIMITED", _passing_quota),
    errors.ServiceFull: _Status(code_pb2.RESOURCE_EXHAUSTED, "RATE_LIMITED", _passing_quota),
    errors.BulkOperationLimit: _Status(
        code_pb2.RESOURCE_EXHAUSTED, "BULK_OPERATION_LIMIT", _passing_quota
    ),
    errors.QueueFull: _Status(code_pb2.RESOURCE_EXHAUSTED, "QUEUE_FULL", _passing_quota),
    errors.QueueLimit: _Status(code_pb2.RESOURCE_EXHAUSTED, "QUEUE_LIMIT", _quota),
    errors.DatabaseUnavailable: _Status(code_pb2.UNAVAILABLE, "DATABASE_UNAVAILABLE", _retry),
    errors.SlowConsumer: _Status(code_pb2.UNAVAILABLE, "SLOW_CONSUMER", _retry),
    errors.ServerDraining: _Status(code_pb2.UNAVAILABLE, "SERVER_DRAINING", _retry),
}


def status_of(error: BaseException, trace_id: str = "") -> status_pb2.Status:
    """Returns the status of an error, not to be changed. An unknown error gives away nothing but
    its trace."""
    known = _STATUSES.get(type(error)) if isinstance(error, JobsvcError) else None
    if known is None or not isinstance(error, JobsvcError):
        info = error_details_pb2.ErrorInfo(reason="INTERNAL_ERROR", domain=DOMAIN)
        if trace_id:
            info.metadata["traceId"] = trace_id
        return status_pb2.Status(
            code=code_pb2.INTERNAL, message="internal error", details=[_pack(info)]
        )
    if type(error) is errors.RateLimited or type(error) is errors.StreamLimit:
        return _refusal(known, error.message, error.subject, error.retry_seconds)
    return _known_status(known, error)


def reason_of(error: BaseException) -> str:
    """Returns the reason in the details of an error's status."""
    if isinstance(error, NotImplementedError):
        return "UNIMPLEMENTED"
    known = _STATUSES.get(type(error)) if isinstance(error, JobsvcError) else None
    return "INTERNAL_ERROR" if known is None else known.reason


@lru_cache(maxsize=256)
def _refusal(known: _Status, message: str, subject: str, retry_seconds: float) -> status_pb2.Status:
    """Refusals come by the thousand, and it takes 50 µs to make one's status."""
    return _known_status(known, errors.RateLimited(message, subject, retry_seconds=retry_seconds))


def _known_status(known: _Status, error: JobsvcError) -> status_pb2.Status:
    for message_bytes, text_bytes in _CUTS:
        info = error_details_pb2.ErrorInfo(
            reason=known.reason,
            domain=DOMAIN,
            metadata={key: _cut(value, text_bytes) for key, value in error.metadata.items()},
        )
        details = [info, *known.details(error, text_bytes)]
        status = status_pb2.Status(
            code=known.code,
            message=_cut(error.message, message_bytes),
            details=[_pack(detail) for detail in details],
        )
        if header_bytes(status) <= MAX_HEADER_BYTES:
            break
    return status


def header_bytes(status: status_pb2.Status) -> int:
    """Returns the size of the headers that a refusal consists of, at most: the message is
    percent-encoded, the details are sent as base64."""
    message = sum(1 if 32 <= b < 127 and b != ord("%") else 3 for b in status.message.encode())
    details: int = (status.ByteSize() + 2) // 3 * 4
    return _FIXED_HEADER_BYTES + _NAME_BYTES + message + details


def _cut(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode(errors="ignore")


def _pack(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
