"""Reads the requests of bulk operations, and writes operations."""

import hashlib
import math
from datetime import UTC, datetime

from jobsvc.api.convert.job_control import read_change
from jobsvc.api.convert.job_filter import read_filter
from jobsvc.api.convert.jobs import write_owner
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.times import write_timestamp
from jobsvc.domain.bulk_operation import BulkAction, BulkKind, BulkOperation, BulkRequest
from jobsvc.domain.job_control import CHANGEABLE, JobChange
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.job_id import created_millis
from jobsvc.domain.limits import MAX_EXTRA_ATTEMPTS, MAX_NOTE_CHARACTERS
from jobsvc.domain.owner import Owner
from jobsvc.v1 import job_service_pb2 as pb

_MAX_RATE = 100_000.0
_MAX_MOST = 2**63 - 1
#: The input of a job is its own.
_CHANGEABLE = tuple(name for name in CHANGEABLE if name != "input")


def read_bulk_request(request: pb.BulkJobsRequest, caller: Owner) -> BulkRequest:
    """Returns what a call asks for.

    Raises:
        InvalidRequest: with every field that breaks a rule of the contract.
    """
    checks = RequestChecks()
    if not request.HasField("filter"):
        checks.add("filter", "must be set; an empty one selects all jobs that the caller may see")
    wanted = read_filter(checks, request.filter, caller)
    action = _action(checks, request, caller)
    if action is not None:
        unfit = {state.value for state in wanted.states - action.kind.states}
        for index, state in enumerate(request.filter.states):
            if state in unfit:
                checks.add(
                    f"filter.states[{index}]", f"its jobs cannot be {action.kind.control} in bulk"
                )
    if not (math.isfinite(request.rate) and 0 <= request.rate <= _MAX_RATE):
        checks.add("rate", f"must be between 0 and {_MAX_RATE:g} jobs a second")
    checks.number("most", request.most, 0, _MAX_MOST)
    if request.request_id:
        checks.uuid("request_id", request.request_id)
    checks.raise_if_violated()
    assert action is not None
    return BulkRequest(wanted, action, request.rate, request.most)


def _action(checks: RequestChecks, request: pb.BulkJobsRequest, caller: Owner) -> BulkAction | None:
    kind = request.WhichOneof("action")
    match kind:
        case None:
            checks.add("action", "set one of cancel, retry, delete, update")
            return None
        case "cancel":
            checks.text("cancel.reason", request.cancel.reason, MAX_NOTE_CHARACTERS)
            return BulkAction(BulkKind.CANCEL, reason=request.cancel.reason)
        case "retry":
            attempts = request.retry.extra_attempts
            checks.number("retry.extra_attempts", attempts, 0, MAX_EXTRA_ATTEMPTS)
            return BulkAction(
                BulkKind.RETRY, extra_attempts=attempts or 1, most_waiting=caller.most_waiting
            )
        case "delete":
            return BulkAction(BulkKind.DELETE)
        case "update":
            update = request.update
            change = read_change(checks, update.spec, update.update_mask, _CHANGEABLE, "update.")
            return BulkAction(BulkKind.UPDATE, change=change)


def request_digest(request: pb.BulkJobsRequest) -> bytes:
    """Returns bytes that are equal for equal requests, whatever their request ids."""
    rest = pb.BulkJobsRequest()
    rest.CopyFrom(request)
    rest.ClearField("request_id")
    return hashlib.sha256(rest.SerializeToString(deterministic=True)).digest()


def operation_message(operation: BulkOperation) -> pb.BulkOperation:
    """Returns an operation as a message."""
    message = requested_message(operation.request)
    message.id = operation.id
    message.state = operation.state.value  # type: ignore[assignment]  # numbered as in the contract
    message.version = operation.version
    message.done_count = operation.done
    message.skipped_count = sum(operation.skipped.values())
    message.skipped_by_reason.update(operation.skipped)
    if operation.last_error is not None:
        error = operation.last_error
        message.last_error.job_id = error.job_id
        message.last_error.reason = error.reason
        message.last_error.message = error.message
    position_time = operation.create_time
    if operation.position is not None:
        position_time = datetime.fromtimestamp(created_millis(operation.position) / 1000, UTC)
    for field, time in (
        (message.position_time, position_time),
        (message.create_time, operation.create_time),
        (message.update_time, operation.update_time),
        (message.end_time, operation.end_time),
        (message.purge_time, operation.purge_time),
    ):
        if time is not None:
            write_timestamp(field, time)
    owner = operation.owner
    write_owner(message.owner, owner.service, owner.user_id, owner.session_hash is not None)
    return message


def requested_message(request: BulkRequest) -> pb.BulkOperation:
    """Returns what a caller asked for as an operation that has not begun."""
    message = pb.BulkOperation(rate=request.rate, most=request.most)
    _write_filter(message.filter, request.wanted)
    action = request.action
    match action.kind:
        case BulkKind.CANCEL:
            message.cancel.SetInParent()
            message.cancel.reason = action.reason
        case BulkKind.RETRY:
            message.retry.extra_attempts = action.extra_attempts
        case BulkKind.DELETE:
            message.delete.SetInParent()
        case BulkKind.UPDATE:
            assert action.change is not None
            _write_change(message.update, action.change)
    return message


def _write_filter(message: pb.JobFilter, wanted: JobFilter) -> None:
    message.SetInParent()
    message.queues.extend(sorted(wanted.queues))
    for state in sorted(wanted.states):
        message.states.append(state.value)  # type: ignore[arg-type]  # numbered as in the contract
    message.labels.update(wanted.labels)
    message.own_session = wanted.own_session
    message.own_user = wanted.own_user
    if wanted.create_time_from is not None:
        write_timestamp(message.create_time_from, wanted.create_time_from)
    if wanted.create_time_until is not None:
        write_timestamp(message.create_time_until, wanted.create_time_until)


def _write_change(message: pb.BulkUpdate, change: JobChange) -> None:
    message.update_mask.paths.extend(sorted(change.fields))
    message.spec.priority = change.priority
    message.spec.labels.update(change.labels)
    if change.schedule_time is not None:
        write_timestamp(message.spec.schedule_time, change.schedule_time)
    if change.expire_time is not None:
        write_timestamp(message.spec.expire_time, change.expire_time)
