"""Writes jobs into messages, and reads the fields that several requests share."""

from collections.abc import Sequence

from jobsvc.api.auth import check_sees_payloads, sees_payloads
from jobsvc.api.bounds import MAX_ATTEMPTS_BYTES
from jobsvc.api.convert.payloads import JSON_TEXT, write_payload_in_slices
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.run_policy import merge_run_policy
from jobsvc.api.convert.times import write_timestamp
from jobsvc.domain.job import AttemptRecord, Job, JobError, JobState, NewStatus
from jobsvc.domain.wait_reason import WaitReason
from jobsvc.v1 import job_pb2 as pb
from jobsvc.v1 import payload_pb2


def job_ids(checks: RequestChecks, path: str, texts: Sequence[str], maximum: int) -> list[str]:
    """Checks that a list of job ids has some, and not too many, each once, and returns it."""
    checks.count(path, texts, 1, maximum)
    if len(texts) > maximum:
        return []
    seen: set[str] = set()
    for index, text in enumerate(texts):
        checks.uuid(f"{path}[{index}]", text)
        if text in seen:
            checks.add(f"{path}[{index}]", "is named twice")
        seen.add(text)
    return list(texts)


def view_is_full(checks: RequestChecks, view: int) -> bool:
    """Checks a view, and returns whether it is FULL, the default.

    Raises:
        RoleRequired: it is, and the caller may not see payloads.
    """
    checks.enum("view", view, pb.JobView.values())
    if view == pb.JOB_VIEW_BASIC:
        return False
    check_sees_payloads()
    return True


def check_encoding(checks: RequestChecks, encoding: int) -> None:
    """Checks that the contract has a payload encoding."""
    checks.enum("payload_encoding", encoding, payload_pb2.PayloadEncoding.values())


def write_job(
    message: pb.Job,
    job: Job,
    full: bool,
    reason: WaitReason = WaitReason.UNSPECIFIED,
    attempts: Sequence[AttemptRecord] = (),
) -> None:
    """Writes a job but for its payloads, and without stack traces unless `full`. Metadata of errors
    are written if the current caller may see payloads."""
    spec = message.spec
    spec.queue = job.queue
    if job.priority:
        spec.priority = job.priority
    merge_run_policy(spec, job.run_policy)
    if job.unique_key:
        spec.unique_key = job.unique_key
    if job.labels:
        spec.labels.update(job.labels)
    if job.schedule_time is not None:
        write_timestamp(spec.schedule_time, job.schedule_time)
    if job.expire_time is not None:
        write_timestamp(spec.expire_time, job.expire_time)
    message.id = job.id
    write_status(message.status, job, full, reason, attempts)
    write_owner(
        message.owner, job.owner.service, job.owner.user_id, job.owner.session_hash is not None
    )
    write_timestamp(message.create_time, job.create_time)
    message.etag = job.etag
    if job.traceparent:
        message.traceparent = job.traceparent
    if job.status.purge_time is not None:
        write_timestamp(message.purge_time, job.status.purge_time)


def write_status(
    message: pb.JobStatus,
    job: Job | NewStatus,
    full: bool,
    reason: WaitReason = WaitReason.UNSPECIFIED,
    attempts: Sequence[AttemptRecord] = (),
    with_metadata: bool | None = None,
) -> None:
    """Writes the status of a job but for its output, and without stack traces unless `full`.
    Metadata of errors are written `with_metadata`; None asks what the current caller may see."""
    status = job.status
    if with_metadata is None:
        with_metadata = sees_payloads()
    message.state = status.state.value  # type: ignore[assignment]  # numbered as in the contract
    message.version = status.version
    if status.attempt:
        message.attempt = status.attempt
    if status.worker_id:
        message.worker_id = status.worker_id
    if reason:
        message.wait_reason = reason.value  # type: ignore[assignment]  # numbered as well
    write_timestamp(message.update_time, status.update_time)
    left = MAX_ATTEMPTS_BYTES
    for attempt in attempts:
        past = message.recent_attempts.add()
        _write_attempt(past, attempt, full, with_metadata)
        left -= past.ByteSize()
        if left < 0:
            past.error.ClearField("metadata")
            past.error.ClearField("stack_trace")
    if status.progress_percent is not None:
        message.progress.percent = status.progress_percent
        message.progress.message = status.progress_message
    if status.error is not None:
        message.error.CopyFrom(error_message(status.error, full, with_metadata))
    if status.start_time is not None:
        write_timestamp(message.start_time, status.start_time)
    if status.end_time is not None:
        write_timestamp(message.end_time, status.end_time)
    if status.lease_expire_time is not None:
        write_timestamp(message.lease_expire_time, status.lease_expire_time)
    if status.cancel_request_time is not None:
        write_timestamp(message.cancel_request_time, status.cancel_request_time)
        message.cancel_reason = status.cancel_reason
    if status.run_time is not None and status.run_time > job.read_time:
        write_timestamp(message.next_attempt_time, status.run_time)


async def write_payloads(message: pb.Job, job: Job, encoding: int) -> None:
    """Writes the payloads of a job. Lets other tasks run meanwhile if it takes long."""
    # To a reader of text an empty input is `{}`; a Struct may be unset.
    if job.input is not None or encoding == JSON_TEXT:
        await write_payload_in_slices(message.spec.input, job.input, encoding)
    await write_output(message.status, job, encoding)


async def write_output(message: pb.JobStatus, job: Job | NewStatus, encoding: int) -> None:
    """Writes the output of a job that has one. Lets other tasks run meanwhile if it takes long."""
    if job.status.state is JobState.COMPLETED:
        await write_payload_in_slices(message.output, job.status.output, encoding)


def write_owner(message: pb.JobOwner, service: str, user_id: str, has_session: bool) -> None:
    """Writes an owner: whether it has a session, never which."""
    message.SetInParent()
    if service:
        message.service = service
    if user_id:
        message.user_id = user_id
    if has_session:
        message.has_session = True


def error_message(error: JobError, full: bool = True, with_metadata: bool = True) -> pb.JobError:
    """Returns the error of a job, without stack trace unless `full`."""
    return pb.JobError(
        code=error.code,
        reason=error.reason,
        message=error.message,
        metadata=error.metadata if with_metadata else None,
        stack_trace=error.stack_trace if full else "",
    )


def _write_attempt(
    message: pb.JobAttempt, attempt: AttemptRecord, full: bool, with_metadata: bool
) -> None:
    message.attempt = attempt.attempt
    message.worker_id = attempt.worker_id
    if attempt.start_time is not None:
        write_timestamp(message.start_time, attempt.start_time)
    if attempt.end_time is not None:
        write_timestamp(message.end_time, attempt.end_time)
    if attempt.error is not None:
        message.error.CopyFrom(error_message(attempt.error, full, with_metadata))
