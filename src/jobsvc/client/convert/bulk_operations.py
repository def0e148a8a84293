"""Builds the requests of bulk operations, and reads the replies. Pure."""

from typing import Any
from uuid import UUID, uuid4

from jobsvc.client.bulk_operation import (
    BulkAction,
    BulkCancel,
    BulkDelete,
    BulkError,
    BulkOperation,
    BulkPreview,
    BulkRetry,
    BulkState,
    BulkUpdate,
)
from jobsvc.client.convert.job_replies import read_job, state_of
from jobsvc.client.convert.job_requests import check_extra_attempts, write_changes
from jobsvc.client.convert.list_requests import filter_message
from jobsvc.client.convert.optional_fields import read_time
from jobsvc.client.convert.run_policy import duration_message
from jobsvc.client.job_filter import JobFilter
from jobsvc.v1 import job_pb2, job_service_pb2

#: By their numbers. A newer server may know more.
_STATES = {
    job_service_pb2.BulkOperationState.Value(f"BULK_OPERATION_STATE_{s}"): s
    for s in BulkState
    if s != BulkState.UNKNOWN
}


def bulk_request(
    action: BulkAction,
    wanted: JobFilter,
    rate: float = 0.0,
    most: int = 0,
    request_id: str | UUID | None = None,
    validate_only: bool = False,
) -> job_service_pb2.BulkJobsRequest:
    """Returns the request that starts an operation, with a new request id if none is given.

    Raises:
        ValueError: a state is unknown, a number out of range, a time has no time zone, or an input
            is among the changes.
    """
    request = job_service_pb2.BulkJobsRequest(
        filter=filter_message(wanted),
        rate=rate,
        most=most,
        validate_only=validate_only,
        request_id="" if validate_only else str(request_id or uuid4()),
    )
    match action:
        case BulkCancel(reason):
            request.cancel.SetInParent()
            request.cancel.reason = reason
        case BulkRetry(extra_attempts):
            check_extra_attempts(extra_attempts)
            request.retry.extra_attempts = extra_attempts
        case BulkDelete():
            request.delete.SetInParent()
        case BulkUpdate(changes):
            if "input" in changes:
                raise ValueError("the input of a job is its own: it cannot be changed in bulk")
            request.update.update_mask.paths.extend(changes)
            write_changes(request.update.spec, changes)
    return request


def wait_operation_request(
    operation_id: str | UUID, wait_seconds: float, after_version: int | None
) -> job_service_pb2.WaitBulkOperationRequest:
    """Returns the request that waits at most `wait_seconds` (0 to 60) for an operation."""
    return job_service_pb2.WaitBulkOperationRequest(
        operation_id=str(operation_id),
        timeout=duration_message(wait_seconds),
        after_version=after_version,
    )


def read_operation(operation: job_service_pb2.BulkOperation) -> BulkOperation:
    """Returns an operation as plain values."""
    kind = operation.WhichOneof("action") or ""
    error = operation.last_error
    return BulkOperation(
        id=operation.id,
        kind=kind,
        options=_options(operation, kind),
        filter=_filter(operation.filter),
        rate=operation.rate,
        most=operation.most,
        state=_STATES.get(operation.state, BulkState.UNKNOWN),
        version=operation.version,
        done_count=operation.done_count,
        skipped_count=operation.skipped_count,
        skipped_by_reason=dict(operation.skipped_by_reason),
        last_error=(
            BulkError(job_id=error.job_id, reason=error.reason, message=error.message)
            if operation.HasField("last_error")
            else None
        ),
        position_time=read_time(operation, "position_time", operation.position_time),
        create_time=read_time(operation, "create_time", operation.create_time),
        update_time=read_time(operation, "update_time", operation.update_time),
        end_time=read_time(operation, "end_time", operation.end_time),
        purge_time=read_time(operation, "purge_time", operation.purge_time),
        service=operation.owner.service,
        user_id=operation.owner.user_id,
        has_session=operation.owner.has_session,
    )


def read_preview(response: job_service_pb2.BulkJobsResponse) -> BulkPreview:
    """Returns the reply to a call that only validates as plain values."""
    return BulkPreview(
        count=response.matching_count,
        is_estimate=response.is_estimate,
        sample=tuple(map(read_job, response.sample)),
    )


# Any: values of several types.
def _options(operation: job_service_pb2.BulkOperation, kind: str) -> dict[str, Any]:
    match kind:
        case "cancel":
            return {"reason": operation.cancel.reason}
        case "retry":
            return {"extra_attempts": operation.retry.extra_attempts}
        case "update":
            return _changes(operation.update.spec, operation.update.update_mask.paths)
    return {}


def _changes(spec: job_pb2.JobSpec, paths: Any) -> dict[str, Any]:
    values = {
        "priority": spec.priority,
        "schedule_time": read_time(spec, "schedule_time", spec.schedule_time),
        "expire_time": read_time(spec, "expire_time", spec.expire_time),
        "labels": dict(spec.labels),
    }
    return {path: values.get(path) for path in paths}


def _filter(message: job_service_pb2.JobFilter) -> dict[str, Any]:
    """The conditions that are set."""
    conditions = {
        "queues": list(message.queues),
        "states": [state_of(state) for state in message.states],
        "labels": dict(message.labels),
        "own_session": message.own_session,
        "own_user": message.own_user,
        "create_time_from": read_time(message, "create_time_from", message.create_time_from),
        "create_time_until": read_time(message, "create_time_until", message.create_time_until),
    }
    return {name: value for name, value in conditions.items() if value}
