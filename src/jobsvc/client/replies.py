"""TimeSlice the replies of the contract into plain values. Pure."""

from dataclasses import fields
from datetime import UTC, datetime

from google.protobuf import duration_pb2, timestamp_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2

from jobsvc.client.job import (
    AttemptRecord,
    CreatedJob,
    Job,
    JobError,
    JobState,
    JobStatus,
    JobUpdate,
)
from jobsvc.client.queue import Queue, QueueStats
from jobsvc.v1 import job_pb2, job_service_pb2, payload_pb2, queue_service_pb2


def read_job(job: job_pb2.Job) -> Job:
    """A job as plain values."""
    spec = job.spec
    return Job(
        id=job.id,
        queue=spec.queue,
        status=read_status(job.status),
        input_json=_json_text(spec, "input", spec.input),
        priority=spec.priority,
        schedule_time=_time(spec, "schedule_time", spec.schedule_time),
        expire_time=_time(spec, "expire_time", spec.expire_time),
        attempt_timeout_seconds=_seconds(spec, "attempt_timeout", spec.attempt_timeout),
        max_attempts=spec.retry_policy.max_attempts or None,
        retention_seconds=_seconds(spec, "retention", spec.retention),
        start_within_seconds=_seconds(spec, "start_within", spec.start_within),
        unique_key=spec.unique_key,
        labels=dict(spec.labels),
        service=job.owner.service,
        user_id=job.owner.user_id,
        has_session=job.owner.has_session,
        create_time=_time(job, "create_time", job.create_time),
        purge_time=_time(job, "purge_time", job.purge_time),
        etag=job.etag,
        traceparent=job.traceparent,
    )


def read_created(response: job_service_pb2.CreateJobResponse) -> CreatedJob:
    """The answer to a creation as plain values."""
    job = read_job(response.job)
    return CreatedJob(
        existing=response.existing, **{f.name: getattr(job, f.name) for f in fields(job)}
    )


def read_update(update: job_service_pb2.JobUpdate) -> JobUpdate:
    """An update of a status stream as plain values."""
    return JobUpdate(job_id=update.job_id, queue=update.queue, status=read_status(update.status))


def read_status(status: job_pb2.JobStatus) -> JobStatus:
    """A status as plain values."""
    has_progress = status.HasField("progress")
    return JobStatus(
        state=JobState(status.state),
        version=status.version,
        attempt=status.attempt,
        progress_percent=status.progress.percent if has_progress else None,
        progress_message=status.progress.message,
        output_json=_json_text(status, "output", status.output),
        error=_error(status.error) if status.HasField("error") else None,
        start_time=_time(status, "start_time", status.start_time),
        end_time=_time(status, "end_time", status.end_time),
        update_time=_time(status, "update_time", status.update_time),
        next_attempt_time=_time(status, "next_attempt_time", status.next_attempt_time),
        wait_reason=_wait_reason(status.wait_reason),
        worker_id=status.worker_id,
        lease_expire_time=_time(status, "lease_expire_time", status.lease_expire_time),
        cancel_request_time=_time(status, "cancel_request_time", status.cancel_request_time),
        recent_attempts=tuple(_attempt(attempt) for attempt in status.recent_attempts),
    )


def read_queue(queue: queue_service_pb2.Queue) -> Queue:
    """A queue as plain values."""
    return Queue(
        name=queue.name,
        paused=queue.state == queue_service_pb2.QUEUE_STATE_PAUSED,
        max_attempts=queue.retry_policy.max_attempts or None,
        attempt_timeout_seconds=_seconds(queue, "attempt_timeout", queue.attempt_timeout),
        lease_seconds=_seconds(queue, "lease_duration", queue.lease_duration),
        retention_seconds=_seconds(queue, "retention", queue.retention),
        start_within_seconds=_seconds(queue, "start_within", queue.start_within),
        create_time=_time(queue, "create_time", queue.create_time),
        update_time=_time(queue, "update_time", queue.update_time),
        etag=queue.etag,
    )


def read_stats(stats: queue_service_pb2.QueueStats) -> QueueStats:
    """The counts of a queue as plain values."""
    return QueueStats(
        queue=stats.queue,
        paused=stats.state == queue_service_pb2.QUEUE_STATE_PAUSED,
        scheduled_count=stats.scheduled_count,
        ready_count=stats.ready_count,
        processing_count=stats.processing_count,
        oldest_ready_seconds=_seconds(stats, "oldest_ready_age", stats.oldest_ready_age),
        worker_count=stats.worker_count,
        open_window=stats.open_window,
    )


def _attempt(attempt: job_pb2.JobAttempt) -> AttemptRecord:
    return AttemptRecord(
        attempt=attempt.attempt,
        worker_id=attempt.worker_id,
        start_time=_time(attempt, "start_time", attempt.start_time),
        end_time=_time(attempt, "end_time", attempt.end_time),
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


# A message says whether a field of it is set; the field itself does not know.


def _time(message: Message, name: str, time: timestamp_pb2.Timestamp) -> datetime | None:
    return time.ToDatetime(tzinfo=UTC) if message.HasField(name) else None


def _seconds(message: Message, name: str, duration: duration_pb2.Duration) -> float | None:
    return duration.ToNanoseconds() / 1e9 if message.HasField(name) else None


def _json_text(message: Message, name: str, payload: payload_pb2.Payload) -> str | None:
    return payload.json_text if message.HasField(name) else None
