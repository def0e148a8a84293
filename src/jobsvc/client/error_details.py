"""Reads the google.rpc details of a failed call, which becomes a `CallFailed`."""

import os
from collections.abc import Iterable

import grpc
from google.rpc import error_details_pb2, status_pb2

from jobsvc.call_status import CallStatus, read_status
from jobsvc.client.errors import CallFailed, failure_class
from jobsvc.domain.errors import Violation
from jobsvc.domain.http_proxy import name_proxy


def call_status(error: grpc.RpcError) -> CallStatus:
    """Returns how a call failed, synchronous or not."""
    # Both libraries return a sequence of (key, value), under different types.
    trailing: Iterable[tuple[str, str | bytes]] = error.trailing_metadata() or ()  # type: ignore[assignment]
    return read_status(error.code(), error.details() or "", trailing)


def read_failure(error: grpc.RpcError, target: str = "") -> CallFailed:
    """Returns a failed call, synchronous or not, as an exception of this package.

    A failure that the server did not report names the `target` that was called.
    """
    return _failure(call_status(error), target)


def read_job_failure(error: status_pb2.Status) -> CallFailed:
    """Returns why there is no job, as an exception of this package."""
    details = (("grpc-status-details-bin", error.SerializeToString()),)
    return _failure(read_status(grpc.StatusCode.UNKNOWN, error.message, details), "")


def _failure(status: CallStatus, target: str) -> CallFailed:
    violations: list[Violation] = []
    retry_delay_seconds: float | None = None
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in status.status.details:
        if detail.Unpack(bad_request):
            violations += [Violation(v.field, v.description) for v in bad_request.field_violations]
        elif detail.Unpack(retry):
            retry_delay_seconds = retry.retry_delay.ToNanoseconds() / 1e9
    code = status.code.name
    message = status.message or "no further words"
    if status.info is None and target and code in ("DEADLINE_EXCEEDED", "UNAVAILABLE"):
        if target not in message:
            message = (
                f"no answer from {target} in time"
                if code == "DEADLINE_EXCEEDED"
                else f"{target}: {message}"
            )
        message += name_proxy(target, os.environ)
    reason = status.info.reason if status.info else ""
    return failure_class(code, reason, message)(
        code,
        message,
        reason=reason,
        metadata=dict(status.info.metadata) if status.info else {},
        violations=violations,
        retry_delay_seconds=retry_delay_seconds,
    )
