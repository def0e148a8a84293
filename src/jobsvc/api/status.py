"""The one place where a domain error becomes a gRPC status with `google.rpc` details."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from jobsvc.domain import errors
from jobsvc.domain.errors import JobsvcError

DOMAIN = "jobsvc"

#: Clients drop trailers of more than 8 KiB, and the status with them, so texts are cut. The details
#: grow by a third on the wire, a message in foreign letters up to threefold.
_MAX_VIOLATIONS = 20
_MAX_TEXT = 300
_MAX_MESSAGE_BYTES = 500
_MAX_DETAILS_BYTES = 4_000
_SHORTER_TEXTS = (300, 150, 75)

Details = Callable[[JobsvcError], Iterable[Message]]


class _Answer(NamedTuple):
    code: int
    reason: str
    details: Details = lambda _: ()


def _bad_request(error: JobsvcError) -> Iterable[Message]:
    assert isinstance(error, errors.InvalidRequest)
    for most in _SHORTER_TEXTS:
        found = error_details_pb2.BadRequest(
            field_violations=[
                error_details_pb2.BadRequest.FieldViolation(
                    field=_cut(v.field, most), description=_cut(v.description, most)
                )
                for v in error.violations[:_MAX_VIOLATIONS]
            ]
        )
        if found.ByteSize() <= _MAX_DETAILS_BYTES:
            break
    yield found


def _resource(kind: str, name: Callable[[JobsvcError], str]) -> Details:
    def details(error: JobsvcError) -> Iterable[Message]:
        yield error_details_pb2.ResourceInfo(
            resource_type=kind, resource_name=_cut(name(error), _MAX_TEXT)
        )

    return details


def _precondition(kind: str, subject: str) -> Details:
    def details(error: JobsvcError) -> Iterable[Message]:
        yield error_details_pb2.PreconditionFailure(
            violations=[
                error_details_pb2.PreconditionFailure.Violation(
                    type=kind,
                    subject=_cut(error.metadata.get(subject, ""), _MAX_TEXT),
                    description=_cut(error.message, _MAX_TEXT),
                )
            ]
        )

    return details


def _quota(error: JobsvcError) -> Iterable[Message]:
    yield error_details_pb2.QuotaFailure(
        violations=[
            error_details_pb2.QuotaFailure.Violation(
                subject="server", description=_cut(error.message, _MAX_TEXT)
            )
        ]
    )
    yield from _retry(error)


def _retry(_: JobsvcError) -> Iterable[Message]:
    yield error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=1))


_ANSWERS: dict[type[JobsvcError], _Answer] = {
    errors.InvalidRequest: _Answer(code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST", _bad_request),
    errors.PayloadRejected: _Answer(code_pb2.INVALID_ARGUMENT, "PAYLOAD_REJECTED", _bad_request),
    errors.PayloadTooLarge: _Answer(code_pb2.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE", _bad_request),
    errors.PageTokenInvalid: _Answer(code_pb2.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
    errors.WorkProtocolViolation: _Answer(code_pb2.INVALID_ARGUMENT, "WORK_PROTOCOL_VIOLATION"),
    errors.JobNotOwned: _Answer(code_pb2.PERMISSION_DENIED, "JOB_NOT_OWNED"),
    errors.JobNotFound: _Answer(
        code_pb2.NOT_FOUND,
        "JOB_NOT_FOUND",
        _resource("jobsvc.v1.Job", lambda e: e.metadata["jobId"]),
    ),
    errors.QueueNotFound: _Answer(
        code_pb2.NOT_FOUND,
        "QUEUE_NOT_FOUND",
        _resource("jobsvc.v1.Queue", lambda e: e.metadata["queue"]),
    ),
    errors.UniqueKeyTaken: _Answer(
        code_pb2.ALREADY_EXISTS,
        "UNIQUE_KEY_TAKEN",
        _resource("jobsvc.v1.Job", lambda e: e.metadata["jobId"]),
    ),
    errors.RequestIdReused: _Answer(
        code_pb2.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
        _resource("request_id", lambda e: e.metadata["requestId"]),
    ),
    errors.LeaseLost: _Answer(
        code_pb2.FAILED_PRECONDITION, "LEASE_LOST", _precondition("LEASE", "leaseId")
    ),
    errors.EtagMismatch: _Answer(code_pb2.ABORTED, "ETAG_MISMATCH"),
    errors.WorkerReplaced: _Answer(code_pb2.ABORTED, "WORKER_REPLACED"),
    errors.WorkerDeaf: _Answer(code_pb2.UNAVAILABLE, "WORKER_DEAF", _retry),
    errors.StreamLimit: _Answer(code_pb2.RESOURCE_EXHAUSTED, "STREAM_LIMIT", _quota),
    errors.RateLimited: _Answer(code_pb2.RESOURCE_EXHAUSTED, "RATE_LIMITED", _quota),
    errors.DatabaseUnavailable: _Answer(code_pb2.UNAVAILABLE, "DATABASE_UNAVAILABLE", _retry),
    errors.ServerDraining: _Answer(code_pb2.UNAVAILABLE, "SERVER_DRAINING", _retry),
}


def status_of(error: BaseException, trace_id: str = "") -> status_pb2.Status:
    """The status of an error. One that is not ours says nothing but the trace to look up."""
    answer = _ANSWERS.get(type(error)) if isinstance(error, JobsvcError) else None
    if answer is None or not isinstance(error, JobsvcError):
        info = error_details_pb2.ErrorInfo(reason="INTERNAL_ERROR", domain=DOMAIN)
        if trace_id:
            info.metadata["traceId"] = trace_id
        return status_pb2.Status(
            code=code_pb2.INTERNAL, message="internal error", details=[_pack(info)]
        )
    info = error_details_pb2.ErrorInfo(
        reason=answer.reason,
        domain=DOMAIN,
        metadata={key: _cut(value, _MAX_TEXT) for key, value in error.metadata.items()},
    )
    details = [info, *answer.details(error)]
    return status_pb2.Status(
        code=answer.code,
        message=_cut(error.message, _MAX_MESSAGE_BYTES),
        details=[_pack(detail) for detail in details],
    )


def _cut(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore")


def _pack(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed
