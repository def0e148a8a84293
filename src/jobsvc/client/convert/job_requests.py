"""Builds the requests of `JobService`. Pure; payloads always travel as JSON text."""

from collections.abc import Iterable
from uuid import UUID

from jobsvc.client.convert.run_policy import duration_message, write_run_policy
from jobsvc.client.job_changes import JobChanges
from jobsvc.client.new_job import NewJob
from jobsvc.client.payload import encode_payload
from jobsvc.v1 import job_pb2, job_service_pb2, payload_pb2

_CONFLICT_POLICIES = {
    "use_existing": job_pb2.UNIQUE_CONFLICT_POLICY_USE_EXISTING,
    "fail": job_pb2.UNIQUE_CONFLICT_POLICY_FAIL,
}
_MAX_EXTRA_ATTEMPTS = 100
_JSON_TEXT = payload_pb2.PAYLOAD_ENCODING_JSON_TEXT


def create_request(job: NewJob, validate_only: bool = False) -> job_service_pb2.CreateJobRequest:
    """Returns the request that creates `job`.

    Raises:
        TypeError: the input has no JSON form.
        ValueError: the input is no JSON object, or a number or text is out of range.
    """
    # A step for what is not set would take time as well.
    request = job_service_pb2.CreateJobRequest(request_id=str(job.request_id))
    if validate_only:
        request.validate_only = True
    spec = request.spec
    spec.queue = job.queue
    if job.priority:
        spec.priority = job.priority
    if job.input is not None:
        spec.input.json_text = encode_payload(job.input)
    if job.schedule_time is not None:
        spec.schedule_time.FromDatetime(job.schedule_time)
    if job.delay is not None:
        spec.schedule_delay.CopyFrom(duration_message(job.delay))
    if job.expire_time is not None:
        spec.expire_time.FromDatetime(job.expire_time)
    if job.ttl is not None:
        spec.ttl.CopyFrom(duration_message(job.ttl))
    write_run_policy(spec, job.retry, job.attempt_timeout, job.retention, job.start_within)
    if job.unique_key is not None:
        spec.unique_key = job.unique_key
        spec.unique_conflict_policy = _CONFLICT_POLICIES[job.unique_conflict]
    if job.labels:
        spec.labels.update(job.labels)
    return request


def submit_job(
    request: job_service_pb2.CreateJobRequest, follow: bool, traceparent: str, tracestate: str
) -> job_service_pb2.SubmitJob:
    """Returns a request as one of a stream, within a trace context."""
    return job_service_pb2.SubmitJob(
        request=request, follow=follow, traceparent=traceparent, tracestate=tracestate
    )


def submit_options() -> job_service_pb2.SubmitOptions:
    """Returns how the server is to write to a stream of `Submit`."""
    return job_service_pb2.SubmitOptions(payload_encoding=_JSON_TEXT)


def get_request(job_id: str | UUID, full: bool) -> job_service_pb2.GetJobRequest:
    """Returns the request that reads a job."""
    view = job_pb2.JOB_VIEW_FULL if full else job_pb2.JOB_VIEW_BASIC
    return job_service_pb2.GetJobRequest(job_id=str(job_id), view=view, payload_encoding=_JSON_TEXT)


def wait_request(job_id: str | UUID, wait_seconds: float) -> job_service_pb2.WaitJobRequest:
    """Returns the request that waits at most `wait_seconds` (0 to 60) for the end of a job."""
    return job_service_pb2.WaitJobRequest(
        job_id=str(job_id),
        timeout=duration_message(wait_seconds),
        view=job_pb2.JOB_VIEW_FULL,
        payload_encoding=_JSON_TEXT,
    )


def cancel_request(
    job_id: str | UUID, reason: str, etag: str = ""
) -> job_service_pb2.CancelJobRequest:
    """Returns the request that cancels a job."""
    return job_service_pb2.CancelJobRequest(job_id=str(job_id), reason=reason, etag=etag)


def retry_request(
    job_id: str | UUID, extra_attempts: int, etag: str
) -> job_service_pb2.RetryJobRequest:
    """Returns the request that queues a job again.

    Raises:
        ValueError: the number of attempts is out of range.
    """
    check_extra_attempts(extra_attempts)
    return job_service_pb2.RetryJobRequest(
        job_id=str(job_id), extra_attempts=extra_attempts, etag=etag
    )


def check_extra_attempts(count: int) -> None:
    """Checks how many attempts a retry grants.

    Raises:
        ValueError: the number is out of range.
    """
    if not 1 <= count <= _MAX_EXTRA_ATTEMPTS:
        raise ValueError(f"extra_attempts must be 1 to {_MAX_EXTRA_ATTEMPTS}, not {count}")


def update_request(
    job_id: str | UUID, changes: JobChanges, etag: str
) -> job_service_pb2.UpdateJobRequest:
    """Returns the request that changes a job: the fields that `changes` has.

    Raises:
        TypeError: the input has no JSON form.
        ValueError: the input is no JSON object, a number or text is out of range, or a time has no
            time zone.
    """
    request = job_service_pb2.UpdateJobRequest(job_id=str(job_id), etag=etag)
    request.update_mask.paths.extend(changes)
    write_changes(request.spec, changes)
    return request


def write_changes(spec: job_pb2.JobSpec, changes: JobChanges) -> None:
    """Writes the new values of a job.

    Raises: as `update_request`.
    """
    spec.priority = changes.get("priority", 0)
    for field, time in (
        (spec.schedule_time, changes.get("schedule_time")),
        (spec.expire_time, changes.get("expire_time")),
    ):
        if time is not None:
            if time.tzinfo is None:
                raise ValueError("a time needs a time zone")
            field.FromDatetime(time)
    spec.labels.update(changes.get("labels") or {})
    if (given := changes.get("input")) is not None:
        spec.input.json_text = encode_payload(given)


def delete_request(job_id: str | UUID, etag: str) -> job_service_pb2.DeleteJobRequest:
    """Returns the request that removes a job."""
    return job_service_pb2.DeleteJobRequest(job_id=str(job_id), etag=etag)


def stream_request(
    job_ids: Iterable[str], heartbeat_seconds: float
) -> job_service_pb2.StreamJobStatusRequest:
    """Returns the request that follows jobs."""
    return job_service_pb2.StreamJobStatusRequest(
        job_ids=job_ids,
        view=job_pb2.JOB_VIEW_FULL,
        payload_encoding=_JSON_TEXT,
        heartbeat_interval=duration_message(heartbeat_seconds),
    )
