"""Reads the google.rpc details of a failed call, which becomes a `CallFailed`."""

from collections.abc import Iterable

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from jobsvc.client.errors import CallFailed, failure_class
from jobsvc.domain.errors import Violation

_DETAILS_KEY = "grpc-status-details-bin"
_DOMAIN = "jobsvc"


def read_failure(error: grpc.RpcError, target: str = "") -> CallFailed:
    """Returns a failed call, synchronous or not, as an exception of this package.

    A failure that the server did not report names the `target` that was called.
    """
    # Both libraries return a sequence of (key, value), under different types.
    trailing: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()  # type: ignore[assignment]
    status = _read_status(trailing)
    reason, metadata = "", dict[str, str]()
    violations: list[Violation] = []
    retry_delay_seconds: float | None = None
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        if detail.Unpack(info):
            metadata = dict(info.metadata)
            reason = info.reason if info.domain == _DOMAIN else ""
        elif detail.Unpack(bad_request):
            violations += [Violation(v.field, v.description) for v in bad_request.field_violations]
        elif detail.Unpack(retry):
            retry_delay_seconds = retry.retry_delay.ToNanoseconds() / 1e9
    code = error.code().name
    message = error.details() or "no further words"
    if not reason and target and target not in message:
        if code == "DEADLINE_EXCEEDED":
            message = f"no answer from {target} in time"
        elif code == "UNAVAILABLE":
            message = f"{target}: {message}"
    return failure_class(code, reason, message)(
        code,
        message,
        reason=reason,
        metadata=metadata,
        violations=violations,
        retry_delay_seconds=retry_delay_seconds,
    )


def _read_status(trailing: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status:
    """Returns the status in the trailers; an empty one when it is missing or garbled."""
    for key, value in trailing:
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                break
    return status_pb2.Status()
