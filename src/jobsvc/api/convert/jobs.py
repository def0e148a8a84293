"""Requests for jobs into the domain, and jobs out of it."""

import hashlib
import re
from collections.abc import Sequence

from jobsvc.api.convert.defects import Defects
from jobsvc.api.convert.payloads import payload_text, write_payload
from jobsvc.api.convert.times import write_duration, write_timestamp
from jobsvc.job import Attempt, Job, JobError, JobState
from jobsvc.job_request import JobRequest
from jobsvc.payload import canonical
from jobsvc.retry import RetryPolicy
from jobsvc.v1 import job_pb2 as pb
from jobsvc.v1 import job_service_pb2 as service_pb
from jobsvc.v1 import payload_pb2
from jobsvc.waiting import WaitReason

_LABEL_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
_MOST_TIMEOUT_SECONDS = 604_800

FULL = pb.JOB_VIEW_FULL
BASIC = pb.JOB_VIEW_BASIC


def job_request(
    request: service_pb.CreateJobRequest, most_payload_bytes: int, index: int | None = None
) -> JobRequest:
    """A checked request for a job; `index` is its place in a batch.

    Raises:
        InvalidRequest: with every field that breaks a rule of the contract.
        PayloadRejected: the input is no JSON object as the contract wants it.
        PayloadTooLarge: the input is larger than `most_payload_bytes`.
    """
    prefix = "" if index is None else f"requests[{index}]."
    place = {} if index is None else {"index": str(index)}
    defects = Defects(prefix, **place)
    spec = request.spec
    if not request.HasField("spec"):
        defects.add("spec", "is required")
        defects.check()
    # What is not set needs no look: most requests set little, and this runs for every job.
    defects.queue("spec.queue", spec.queue)
    priority = spec.priority
    if priority:
        defects.number("spec.priority", priority, -100, 100)
    schedule_time = (
        defects.time("spec.schedule_time", spec.schedule_time)
        if spec.HasField("schedule_time")
        else None
    )
    expire_time, ttl = None, None
    if spec.HasField("expire_time"):
        expire_time = defects.time("spec.expire_time", spec.expire_time)
        if schedule_time is not None and expire_time <= schedule_time:
            defects.add("spec.expire_time", "must be later than spec.schedule_time")
    elif spec.HasField("ttl"):
        ttl = defects.seconds("spec.ttl", spec.ttl)
        if ttl == 0:
            defects.add("spec.ttl", "must be above 0")
    attempt_timeout = (
        defects.seconds("spec.attempt_timeout", spec.attempt_timeout, 1, _MOST_TIMEOUT_SECONDS)
        if spec.HasField("attempt_timeout")
        else None
    )
    retention = (
        defects.seconds("spec.retention", spec.retention) if spec.HasField("retention") else None
    )
    unique_key = spec.unique_key or None
    if unique_key is not None:
        defects.text("spec.unique_key", unique_key, 255)
    on_conflict = spec.unique_conflict_policy
    if on_conflict:
        defects.enum("spec.unique_conflict_policy", on_conflict, pb.UniqueConflictPolicy.values())
    labels = defects.mapping("spec.labels", spec.labels, 32, _LABEL_KEY) if spec.labels else {}
    attempts, initial, most, factor = (
        retry_fields(defects, "spec.retry_policy", spec.retry_policy)
        if spec.HasField("retry_policy")
        else (None, None, None, None)
    )
    request_id = request.request_id or None
    if request_id is not None:
        defects.uuid("request_id", request_id)
    defects.check()
    text, payload = payload_text(spec.input, f"{prefix}spec.input", most_payload_bytes, **place)
    return JobRequest(
        queue=spec.queue,
        input=text,
        payload=payload,
        priority=priority,
        schedule_time=schedule_time,
        expire_time=expire_time,
        ttl_seconds=ttl,
        attempt_timeout_seconds=attempt_timeout,
        max_attempts=attempts,
        initial_backoff_seconds=initial,
        max_backoff_seconds=most,
        backoff_multiplier=factor,
        retention_seconds=retention,
        unique_key=unique_key,
        fail_if_taken=on_conflict == pb.UNIQUE_CONFLICT_POLICY_FAIL,
        labels=labels,
        request_id=request_id,
        request_digest=None if request_id is None else _digest(spec, labels, payload),
        index=index,
    )


def retry_fields(
    defects: Defects, path: str, policy: pb.RetryPolicy
) -> tuple[int | None, float | None, float | None, float | None]:
    """Attempts, first and largest backoff in seconds, and growth; None where left open."""
    attempts = defects.number(f"{path}.max_attempts", policy.max_attempts, 0, 100)
    factor = defects.factor(f"{path}.backoff_multiplier", policy.backoff_multiplier, 10)
    initial = (
        defects.seconds(f"{path}.initial_backoff", policy.initial_backoff)
        if policy.HasField("initial_backoff")
        else None
    )
    most = (
        defects.seconds(f"{path}.max_backoff", policy.max_backoff, 0, 86_400)
        if policy.HasField("max_backoff")
        else None
    )
    return attempts or None, initial, most, factor or None


def job_ids(texts: Sequence[str], path: str, most: int) -> list[str]:
    """A list of job ids without duplicates.

    Raises:
        InvalidRequest: none, too many, a malformed one, or one twice.
    """
    defects = Defects()
    defects.count(path, texts, 1, most)
    defects.check()
    ids = [defects.uuid(f"{path}[{index}]", text) for index, text in enumerate(texts)]
    defects.check()
    seen: set[str] = set()
    for index, job_id in enumerate(ids):
        if job_id in seen:
            defects.add(f"{path}[{index}]", "is named twice")
        seen.add(job_id)
    defects.check()
    return ids


def view_is_full(defects: Defects, view: int, default: int = FULL) -> bool:
    """Whether the FULL view is asked for."""
    defects.enum("view", view, pb.JobView.values())
    return (view or default) == FULL


def check_encoding(defects: Defects, encoding: int) -> None:
    """A payload encoding that the contract knows."""
    defects.enum("payload_encoding", encoding, payload_pb2.PayloadEncoding.values())


def write_job(
    message: pb.Job,
    job: Job,
    full: bool,
    encoding: int = 0,
    reason: WaitReason = WaitReason.UNSPECIFIED,
    attempts: Sequence[Attempt] = (),
) -> None:
    """Fills in a job as it is sent: without payloads and stack traces unless `full`."""
    spec = message.spec
    spec.queue = job.queue
    if job.priority:
        spec.priority = job.priority
    write_duration(spec.attempt_timeout, job.attempt_timeout_seconds)
    write_retry(spec.retry_policy, job.retry)
    if job.unique_key:
        spec.unique_key = job.unique_key
    if job.labels:
        spec.labels.update(job.labels)
    if full and job.input is not None:
        write_payload(spec.input, job.input, encoding)
    if job.schedule_time is not None:
        write_timestamp(spec.schedule_time, job.schedule_time)
    if job.expire_time is not None:
        write_timestamp(spec.expire_time, job.expire_time)
    if job.retention_seconds is not None:
        write_duration(spec.retention, job.retention_seconds)
    message.id = job.id
    write_status(message.status, job, full, encoding, reason, attempts)
    write_owner(
        message.owner, job.owner.service, job.owner.user_id, job.owner.session_hash is not None
    )
    write_timestamp(message.create_time, job.create_time)
    message.etag = job.etag
    if job.traceparent:
        message.traceparent = job.traceparent
    if job.status.purge_time is not None:
        write_timestamp(message.purge_time, job.status.purge_time)


def asked_alike(one: Job, other: Job) -> bool:
    """Whether two new jobs are sent alike but for `write_identity`."""
    return (
        one.queue == other.queue
        and one.priority == other.priority
        and one.retry == other.retry
        and one.attempt_timeout_seconds == other.attempt_timeout_seconds
        and one.retention_seconds == other.retention_seconds
        and one.unique_key == other.unique_key
        and one.labels == other.labels
        and one.owner == other.owner
        and one.traceparent == other.traceparent
        # Times that are counted from the creation differ.
        and one.schedule_time is one.expire_time is other.schedule_time is other.expire_time is None
    )


def write_identity(message: pb.Job, job: Job) -> None:
    """Fills in what every new job has of its own."""
    message.id = job.id
    write_timestamp(message.create_time, job.create_time)
    write_timestamp(message.status.update_time, job.status.update_time)


def write_status(
    message: pb.JobStatus,
    job: Job,
    full: bool,
    encoding: int = 0,
    reason: WaitReason = WaitReason.UNSPECIFIED,
    attempts: Sequence[Attempt] = (),
) -> None:
    """Fills in the status of a job as it is sent."""
    status = job.status
    message.state = status.state.value  # type: ignore[assignment]  # numbered as in the contract
    message.version = status.version
    if status.attempt:
        message.attempt = status.attempt
    if status.worker_id:
        message.worker_id = status.worker_id
    if reason:
        message.wait_reason = reason.value  # type: ignore[assignment]  # numbered as well
    write_timestamp(message.update_time, status.update_time)
    for attempt in attempts:
        _write_attempt(message.recent_attempts.add(), attempt, full)
    if status.progress_percent is not None:
        message.progress.percent = status.progress_percent
        message.progress.message = status.progress_message
    if full and status.state is JobState.COMPLETED:
        write_payload(message.output, status.output, encoding)
    if status.error is not None:
        message.error.CopyFrom(error_message(status.error, full))
    if status.start_time is not None:
        write_timestamp(message.start_time, status.start_time)
    if status.end_time is not None:
        write_timestamp(message.end_time, status.end_time)
    if status.lease_expire_time is not None:
        write_timestamp(message.lease_expire_time, status.lease_expire_time)
    if status.cancel_request_time is not None:
        write_timestamp(message.cancel_request_time, status.cancel_request_time)
    if status.run_time is not None and status.run_time > job.read_time:
        write_timestamp(message.next_attempt_time, status.run_time)


def write_owner(message: pb.JobOwner, service: str, user_id: str, has_session: bool) -> None:
    """Fills in an owner as it is sent: whether there is a session, never which."""
    message.SetInParent()
    if service:
        message.service = service
    if user_id:
        message.user_id = user_id
    if has_session:
        message.has_session = True


def write_retry(message: pb.RetryPolicy, retry: RetryPolicy) -> None:
    """Fills in a retry policy as it is sent."""
    message.max_attempts = retry.max_attempts
    write_duration(message.initial_backoff, retry.initial_backoff_seconds)
    write_duration(message.max_backoff, retry.max_backoff_seconds)
    message.backoff_multiplier = retry.backoff_multiplier


def error_message(error: JobError, full: bool = True) -> pb.JobError:
    """A job's error as it is sent: without stack trace unless `full`."""
    return pb.JobError(
        code=error.code,
        reason=error.reason,
        message=error.message,
        metadata=error.metadata,
        stack_trace=error.stack_trace if full else "",
    )


def _write_attempt(message: pb.JobAttempt, attempt: Attempt, full: bool) -> None:
    message.attempt = attempt.attempt
    message.worker_id = attempt.worker_id
    if attempt.start_time is not None:
        write_timestamp(message.start_time, attempt.start_time)
    if attempt.end_time is not None:
        write_timestamp(message.end_time, attempt.end_time)
    if attempt.error is not None:
        message.error.CopyFrom(error_message(attempt.error, full))


def _digest(spec: pb.JobSpec, labels: dict[str, str], payload: dict[str, object]) -> bytes:
    """Equal for equal specs, whichever way their input is spelled."""
    rest = [
        (field.number, value if field.message_type is None else value.SerializeToString())
        for field, value in spec.ListFields()
        if field.name not in ("input", "labels")
    ]
    digest = hashlib.blake2b(repr((rest, sorted(labels.items()))).encode(), digest_size=16)
    digest.update(canonical(payload))
    return digest.digest()
