"""Reads the replies of `JobService`, as plain values. Pure."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from google.rpc import code_pb2

from jobsvc.client.convert.optional_fields import read_json_text, read_seconds, read_time
from jobsvc.client.job import (
    AttemptRecord,
    CreatedJob,
    Job,
    JobError,
    JobState,
    JobStatus,
    JobUpdate,
)
from jobsvc.v1 import job_pb2, job_service_pb2

#: By their numbers. A newer server may know more.
_STATES = {job_pb2.JobState.Value(f"JOB_STATE_{s}"): s for s in JobState if s != JobState.UNKNOWN}
#: How the fields of a created job are set that its neighbours in a batch share: to go through the
#: constructor, which is that of a frozen class, takes longer.
_SHARED = [
    (field.name, getattr(CreatedJob, field.name).__set__)
    for field in fields(CreatedJob)
    if field.name not in ("id", "labels")
]
_set_id, _set_labels = (getattr(CreatedJob, name).__set__ for name in ("id", "labels"))


def state_of(number: job_pb2.JobState.ValueType) -> JobState:
    """Returns a state of the contract."""
    return _STATES.get(number, JobState.UNKNOWN)


def read_job(job: job_pb2.Job) -> Job:
    """Returns a job as plain values."""
    return Job(**_values(job))


def _values(job: job_pb2.Job) -> dict[str, Any]:
    """Returns the fields of `Job`, each of its own type."""
    spec = job.spec
    return {
        "id": job.id,
        "queue": spec.queue,
        "status": read_status(job.status),
        "input_json": read_json_text(spec, "input", spec.input),
        "priority": spec.priority,
        "schedule_time": read_time(spec, "schedule_time", spec.schedule_time),
        "expire_time": read_time(spec, "expire_time", spec.expire_time),
        "attempt_timeout_seconds": read_seconds(spec, "attempt_timeout", spec.attempt_timeout),
        "max_attempts": spec.retry_policy.max_attempts or None,
        "retention_seconds": read_seconds(spec, "retention", spec.retention),
        "start_within_seconds": read_seconds(spec, "start_within", spec.start_within),
        "unique_key": spec.unique_key,
        "labels": dict(spec.labels),
        "service": job.owner.service,
        "user_id": job.owner.user_id,
        "has_session": job.owner.has_session,
        "create_time": read_time(job, "create_time", job.create_time),
        "purge_time": read_time(job, "purge_time", job.purge_time),
        "etag": job.etag,
        "traceparent": job.traceparent,
    }


def read_created(response: job_service_pb2.CreateJobResponse) -> CreatedJob:
    """Returns the reply to a creation as plain values."""
    return CreatedJob(existing=response.existing, **_values(response.job))


def read_batch(responses: Iterable[job_service_pb2.CreateJobResponse]) -> list[CreatedJob]:
    """Returns the replies to a batch as plain values, and takes the ids out of the messages. Most
    differ in nothing else, and those are read once."""
    created: list[CreatedJob] = []
    last: job_service_pb2.CreateJobResponse | None = None
    labels: dict[str, str] = {}
    shared: list[tuple[Any, Any]] = []  # Any: a slot of any field, and its value
    for response in responses:
        job_id = response.job.id
        response.job.id = ""
        if response != last:
            first, last = read_created(response), response
            labels = dict(first.labels)
            shared = [(set_, getattr(first, name)) for name, set_ in _SHARED]
        job = object.__new__(CreatedJob)
        for set_, value in shared:
            set_(job, value)
        _set_id(job, job_id)
        _set_labels(job, labels.copy())
        created.append(job)
    return created


def read_ended(
    request: job_service_pb2.CreateJobRequest,
    created: job_service_pb2.CreateJobResponse,
    last: job_service_pb2.JobUpdate,
) -> Job:
    """Returns a new job with its last status as plain values. Without its `purge_time`."""
    job = job_pb2.Job()
    job.CopyFrom(created.job)
    job.status.CopyFrom(last.status)
    job.etag = last.etag
    job.spec.input.CopyFrom(request.spec.input)
    return read_job(job)


def read_update(update: job_service_pb2.JobUpdate) -> JobUpdate:
    """Returns an update of a status stream as plain values."""
    return JobUpdate(job_id=update.job_id, queue=update.queue, status=read_status(update.status))


def read_status(status: job_pb2.JobStatus) -> JobStatus:
    """Returns a status as plain values."""
    has_progress = status.HasField("progress")
    return JobStatus(
        state=state_of(status.state),
        version=status.version,
        attempt=status.attempt,
        progress_percent=status.progress.percent if has_progress else None,
        progress_message=status.progress.message,
        output_json=read_json_text(status, "output", status.output),
        error=_error(status.error) if status.HasField("error") else None,
        start_time=read_time(status, "start_time", status.start_time),
        end_time=read_time(status, "end_time", status.end_time),
        update_time=read_time(status, "update_time", status.update_time),
        next_attempt_time=read_time(status, "next_attempt_time", status.next_attempt_time),
        wait_reason=_wait_reason(status.wait_reason),
        wait_detail=status.wait_detail,
        worker_id=status.worker_id,
        lease_expire_time=read_time(status, "lease_expire_time", status.lease_expire_time),
        cancel_request_time=read_time(status, "cancel_request_time", status.cancel_request_time),
        cancel_reason=status.cancel_reason,
        recent_attempts=tuple(_attempt(attempt) for attempt in status.recent_attempts),
    )


def _attempt(attempt: job_pb2.JobAttempt) -> AttemptRecord:
    return AttemptRecord(
        attempt=attempt.attempt,
        worker_id=attempt.worker_id,
        start_time=read_time(attempt, "start_time", attempt.start_time),
        end_time=read_time(attempt, "end_time", attempt.end_time),
        error=_error(attempt.error) if attempt.HasField("error") else None,
    )


def _error(error: job_pb2.JobError) -> JobError:
    # A newer server may know more codes than this client.
    known = error.code in code_pb2.Code.values()
    return JobError(
        code=code_pb2.Code.Name(error.code) if known else str(error.code),
        reason=error.reason,
        message=error.message,
        metadata=dict(error.metadata),
        stack_trace=error.stack_trace,
    )


def _wait_reason(reason: job_pb2.WaitReason.ValueType) -> str:
    if reason == job_pb2.WAIT_REASON_UNSPECIFIED or reason not in job_pb2.WaitReason.values():
        return ""
    return job_pb2.WaitReason.Name(reason).removeprefix("WAIT_REASON_")
