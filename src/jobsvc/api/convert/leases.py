"""Converts requests of workers into domain values, and leased jobs and results into messages."""

import re
from collections.abc import Iterable, Sequence

from google.rpc import code_pb2, status_pb2

from jobsvc.api.auth import own_worker_id
from jobsvc.api.bounds import MAX_OUTCOME_RESULTS_BYTES
from jobsvc.api.convert.jobs import error_message, write_owner
from jobsvc.api.convert.payloads import (
    JSON_TEXT,
    LargeRead,
    check_size,
    is_long,
    payload_text,
    write_payload,
)
from jobsvc.api.convert.repeated_item import repeat_item
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.times import duration, write_duration, write_timestamp
from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.job import JobError
from jobsvc.domain.lease import Delivery, Extended, Extension, LeasedJob, LeaseId
from jobsvc.domain.lease_end import Progress
from jobsvc.domain.limits import (
    MAX_DELAY_SECONDS,
    MAX_ENTRIES,
    MAX_ERROR_CHARACTERS,
    MAX_LEASE_SECONDS,
    MAX_NOTE_CHARACTERS,
    MAX_TRACE_CHARACTERS,
    MIN_LEASE_SECONDS,
)
from jobsvc.domain.outcome import Cancelled, Failure, Outcome, Release, Success
from jobsvc.domain.worker import SeenWorker
from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb

_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]")
#: The outcome of an attempt that succeeded without an output.
DONE = Success()


def seen_worker(
    checks: RequestChecks, path: str, info: pb.WorkerInfo, queues: Sequence[str], window: int
) -> SeenWorker:
    """The worker as it describes itself, checked; its id is that of a worker of its service."""
    checks.text(f"{path}.worker_id", info.worker_id, 128, 1)
    checks.text(f"{path}.version", info.version, 64)
    checks.text(f"{path}.sdk", info.sdk, 64)
    labels = checks.mapping(f"{path}.labels", info.labels, 16)
    worker_id = own_worker_id(info.worker_id)
    return SeenWorker(worker_id, tuple(queues), window, 0, info.version, info.sdk, labels)


def lease_seconds(
    checks: RequestChecks, path: str, request: pb.Subscribe | pb.LeaseJobsRequest
) -> float | None:
    """The lease duration that a worker asks for; None leaves it to the queue."""
    if not request.HasField("lease_duration"):
        return None
    return checks.seconds(path, request.lease_duration, MIN_LEASE_SECONDS, MAX_LEASE_SECONDS)


def extensions(
    request: pb.ExtendLeasesRequest, worker_id: str | None, max_count: int
) -> list[Extension | None]:
    """The leases to extend, in their order; None for an id that no server has made.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    checks = RequestChecks()
    checks.text("worker_id", request.worker_id, 128)
    checks.count("extensions", request.extensions, 1, max_count)
    if len(request.extensions) > max_count:
        checks.raise_if_violated()
    found: list[Extension | None] = []
    for index, item in enumerate(request.extensions):
        path = f"extensions[{index}]"
        checks.text(f"{path}.lease_id", item.lease_id, 128, 1)
        seconds = (
            checks.seconds(f"{path}.duration", item.duration, MIN_LEASE_SECONDS, MAX_LEASE_SECONDS)
            if item.HasField("duration")
            else None
        )
        percent, message = None, ""
        if item.HasField("progress"):
            progress = _progress(checks, f"{path}.progress", item.progress)
            percent, message = progress.percent, progress.message
        lease_id = LeaseId.parse(item.lease_id)
        found.append(
            None if lease_id is None else Extension(lease_id, seconds, percent, message, worker_id)
        )
    checks.raise_if_violated()
    return found


def outcome(item: pb.JobOutcome, max_payload_bytes: int, read: LargeRead | None = None) -> Outcome:
    """How an attempt ended. `read` is its output if that is a large payload.

    Raises:
        LargePayload: `read` is missing.
        InvalidRequest: a field breaks a rule of the contract.
    """
    kind = item.WhichOneof("result")
    if kind == "success":
        if not item.success.HasField("output"):
            return DONE
        output = item.success.output
        if read is None:
            check_size(output, "success.output", max_payload_bytes)
        text, _ = payload_text(output, "success.output", max_payload_bytes, read)
        return Success(text)
    checks = RequestChecks()
    if kind == "failure":
        failure = item.failure
        error = _job_error(checks, "failure.error", failure.error)
        delay = (
            checks.seconds("failure.retry_delay", failure.retry_delay, 0, MAX_DELAY_SECONDS)
            if failure.HasField("retry_delay")
            else None
        )
        checks.raise_if_violated()
        retryable = failure.retryable if failure.HasField("retryable") else None
        return Failure(error, retryable, delay)
    if kind == "release":
        seconds = checks.seconds("release.delay", item.release.delay, 0, MAX_DELAY_SECONDS)
        reason = checks.words("release.reason", item.release.reason, MAX_NOTE_CHARACTERS)
        checks.raise_if_violated()
        return Release(seconds, reason)
    if kind == "cancelled":
        message = checks.words("cancelled.message", item.cancelled.message, MAX_NOTE_CHARACTERS)
        checks.raise_if_violated()
        return Cancelled(message)
    raise InvalidRequest([Violation("result", "is required")])


def outcome_progress(item: pb.JobOutcome) -> Progress | None:
    """The last progress of the attempt; None if the outcome brings none.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    if not item.HasField("progress"):
        return None
    checks = RequestChecks()
    progress = _progress(checks, "progress", item.progress)
    checks.raise_if_violated()
    return progress


def write_leases(response: pb.LeaseJobsResponse, jobs: Iterable[LeasedJob], encoding: int) -> None:
    """Appends leased jobs as they are sent, without inputs that take long to write. This runs for
    every job: fields that jobs share are copied, which takes half the time, and the others are
    filled in in place."""
    shared, delivery, create_time = pb.JobLease(), None, None
    is_text = encoding == JSON_TEXT
    for job in jobs:
        if job.delivery is not delivery:
            delivery, create_time = job.delivery, None
            shared.Clear()
            _write_delivery(shared, delivery)
        if job.create_time != create_time:
            create_time = job.create_time
            write_timestamp(shared.create_time, create_time)
        message = response.leases.add()
        message.CopyFrom(shared)
        message.lease_id = job.id
        message.job_id = job.id.job_id
        if is_text:
            message.input.json_text = job.input or "{}"
        elif job.input is not None and not is_long(job.input, encoding):
            write_payload(message.input, job.input, encoding)


def _write_delivery(message: pb.JobLease, delivery: Delivery) -> None:
    terms = delivery.terms
    message.queue = terms.queue
    message.attempt = terms.attempt
    message.last_attempt = terms.attempt >= terms.retry.max_attempts
    write_duration(message.attempt_timeout, delivery.attempt_timeout_seconds)
    write_owner(message.owner, delivery.owner_service, delivery.owner_user, delivery.has_session)
    message.labels.update(delivery.labels)
    message.traceparent = terms.traceparent
    message.tracestate = terms.tracestate
    if delivery.previous_error is not None:
        message.previous_error.CopyFrom(error_message(delivery.previous_error))


def lease_status(lease_id: str, extended: Extended | None) -> pb.LeaseStatus:
    """The status of a lease after its extension; None if it was not current."""
    if extended is None:
        return lost_status(lease_id, "the lease is not current")
    state = pb.LEASE_STATE_CANCEL_REQUESTED if extended.cancel_requested else pb.LEASE_STATE_HELD
    return pb.LeaseStatus(
        lease_id=lease_id,
        state=state,
        expires_in=duration(extended.expires_in_seconds),
        reason=extended.cancel_reason,
    )


def lost_status(lease_id: str, reason: str) -> pb.LeaseStatus:
    """The status of a lost lease."""
    return pb.LeaseStatus(lease_id=lease_id, state=pb.LEASE_STATE_LOST, reason=reason)


def reported_leases(request: pb.ReportOutcomesRequest) -> list[str]:
    """The leases that a report is about: those with an outcome, then those that succeeded."""
    return [item.lease_id for item in request.outcomes] + list(request.succeeded_lease_ids)


def outcome_results(
    lease_ids: Sequence[str], statuses: Sequence[status_pb2.Status | None], outcomes: int
) -> pb.ReportOutcomesResponse:
    """The result of the report on each lease; a status None is success. The first `outcomes` leases
    were reported with an outcome, the others by id alone."""
    if statuses.count(None) == len(statuses):  # mostly
        response = _all_committed(lease_ids[:outcomes])
        response.committed_lease_ids.extend(lease_ids[outcomes:])
        return response
    response = pb.ReportOutcomesResponse()
    left = MAX_OUTCOME_RESULTS_BYTES
    for index, (lease_id, status) in enumerate(zip(lease_ids, statuses, strict=True)):
        if status is None and index >= outcomes:
            response.committed_lease_ids.append(lease_id)
            continue
        _write_result(response, lease_id, status)
        if status is not None:
            left -= status.ByteSize()
            if left < 0:
                # The reason comes first.
                del response.results[-1].status.details[1:]
    return response


def _all_committed(lease_ids: Sequence[str]) -> pb.ReportOutcomesResponse:
    response = pb.ReportOutcomesResponse()
    if len(set(map(len, lease_ids))) == 1:
        # Only the first is written, and its bytes are copied.
        _write_result(response, lease_ids[0], None)
        return response.FromString(repeat_item(response.SerializeToString(), lease_ids))
    for lease_id in lease_ids:
        _write_result(response, lease_id, None)
    return response


def _write_result(
    response: pb.ReportOutcomesResponse, lease_id: str, status: status_pb2.Status | None
) -> None:
    result = response.results.add()
    result.lease_id = lease_id
    if status is None:
        result.status.SetInParent()  # OK
    else:
        result.status.CopyFrom(status)


def _progress(checks: RequestChecks, path: str, progress: job_pb2.JobProgress) -> Progress:
    return Progress(
        checks.number(f"{path}.percent", progress.percent, 0, 100),
        checks.words(f"{path}.message", progress.message, MAX_NOTE_CHARACTERS),
    )


def _job_error(checks: RequestChecks, path: str, error: job_pb2.JobError) -> JobError:
    if error.code == code_pb2.OK or error.code not in code_pb2.Code.values():
        checks.add(f"{path}.code", f"must be an error code of google.rpc.Code, not {error.code}")
    if error.reason and not _REASON.fullmatch(error.reason):
        checks.add(f"{path}.reason", f"must match ^{_REASON.pattern}$")
    message = checks.words(f"{path}.message", error.message, MAX_ERROR_CHARACTERS)
    stack_trace = checks.words(f"{path}.stack_trace", error.stack_trace, MAX_TRACE_CHARACTERS)
    checks.count(f"{path}.metadata", error.metadata, 0, MAX_ENTRIES)
    metadata = {}
    for key, value in error.metadata.items():
        place = f"{path}.metadata[{key[:80]!r}]"
        if not key:
            checks.add(place, "the key must not be empty")
        metadata[checks.words(place, key, 255)] = checks.words(place, value, MAX_ERROR_CHARACTERS)
    return JobError(error.code, error.reason, message, metadata, stack_trace)
