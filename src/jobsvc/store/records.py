"""The one place where rows become domain values."""

from collections.abc import Sequence

import asyncpg
import msgspec

from jobsvc.attempt import Terms
from jobsvc.job import Job, JobError, JobState, JobStatus, Owner
from jobsvc.lease import Delivery, HeldLease, LapsedLease, LeasedJob, LeaseId, Place, Slot
from jobsvc.queue import Queue, QueuePolicy
from jobsvc.retry import RetryPolicy

_decode_error = msgspec.json.Decoder(JobError).decode
_decode_labels = msgspec.json.Decoder(dict[str, str]).decode


def encode_error(error: JobError | None) -> str | None:
    """An error as it is stored: JSON."""
    return None if error is None else msgspec.json.encode(error).decode()


def decode_error(text: str | None) -> JobError | None:
    """The error that `encode_error` stored."""
    return None if text is None else _decode_error(text)


def encode_labels(labels: dict[str, str]) -> str | None:
    """Labels as they are stored: JSON, or NULL for none."""
    return msgspec.json.encode(labels).decode() if labels else None


def _labels(text: str | None) -> dict[str, str]:
    return {} if text is None else _decode_labels(text)


def _retry(row: asyncpg.Record) -> RetryPolicy:
    return RetryPolicy(
        row["max_attempts"], row["initial_backoff"], row["max_backoff"], row["backoff_multiplier"]
    )


def job_from(row: asyncpg.Record) -> Job:
    """A job from a row of read_jobs.sql."""
    status = JobStatus(
        state=JobState(row["state"]),
        version=row["version"],
        attempt=row["attempt"],
        update_time=row["update_time"],
        run_time=row["run_at"],
        progress_percent=row["progress_percent"],
        progress_message=row["progress_message"],
        output=row["output"],
        error=decode_error(row["error"]),
        start_time=row["start_time"],
        end_time=row["end_time"],
        worker_id=row["worker_id"],
        lease_expire_time=row["until"],
        cancel_request_time=row["cancel_request_time"],
        purge_time=row["purge_time"],
    )
    return Job(
        id=str(row["id"]),
        queue=row["queue"],
        owner=Owner(row["owner_service"], row["owner_user"], row["owner_session"]),
        input=row["input"],
        priority=row["priority"],
        schedule_time=row["schedule_time"],
        expire_time=row["expire_time"],
        attempt_timeout_seconds=row["attempt_timeout"],
        retry=_retry(row),
        retention_seconds=row["retention"],
        unique_key=row["unique_key"],
        labels=_labels(row["labels"]),
        traceparent=row["traceparent"],
        tracestate=row["tracestate"],
        create_time=row["create_time"],
        request_id=None if row["request_id"] is None else str(row["request_id"]),
        request_digest=row["request_digest"],
        status=status,
        read_time=row["read_time"],
    )


def held_lease_from(row: asyncpg.Record) -> HeldLease:
    """A lease from a row with the columns of the view lease_terms."""
    return _held_lease(row, row["worker_id"], row["cancel_requested"])


def _held_lease(row: asyncpg.Record, worker_id: str, cancel_requested: bool) -> HeldLease:
    return HeldLease(
        queue=row["queue"],
        worker_id=worker_id,
        terms=Terms(
            attempt=row["attempt"],
            retry=_retry(row),
            cancel_requested=cancel_requested,
        ),
        retention_seconds=row["retention"],
        has_request=row["has_request"],
        output_schema_id=row["output_schema_id"],
        traceparent=row["traceparent"],
        tracestate=row["tracestate"],
    )


def lapsed_lease_from(row: asyncpg.Record) -> LapsedLease:
    """A lease from a row of lapsed_leases.sql."""
    return LapsedLease(
        LeaseId.of(row["job_id"], row["lease_id"]),
        held_lease_from(row),
        row["until"],
        row["deadline"],
        row["expire_time"],
        row["read_time"],
    )


def leased_jobs_from(rows: Sequence[asyncpg.Record], slots: Sequence[Slot]) -> list[LeasedJob]:
    """Jobs from rows of lease_jobs.sql, and the slots that they went to, as many or more."""
    jobs = []
    # Most jobs of a worker differ in no more than the first six columns.
    last: dict[Slot, tuple[tuple[object, ...], Delivery]] = {}
    for row, slot in zip(rows, slots, strict=False):
        job_id, number, create_time, text = row[:4]
        rest = row[6:]
        known = last.get(slot)
        if known is None or known[0] != rest:
            known = last[slot] = rest, _delivery_from(row, slot)
        jobs.append(LeasedJob(LeaseId.of(job_id, number), create_time, text, known[1]))
    return jobs


def last_place_from(rows: Sequence[asyncpg.Record]) -> Place | None:
    """Where the last of the jobs of lease_jobs.sql stood; None if there is none."""
    return Place(rows[-1]["rank"], rows[-1]["run_at"]) if rows else None


def _delivery_from(row: asyncpg.Record, slot: Slot) -> Delivery:
    return Delivery(
        held=_held_lease(row, slot.worker_id, cancel_requested=False),
        duration_seconds=slot.duration_seconds,
        attempt_timeout_seconds=row["remaining"],
        labels=_labels(row["labels"]),
        owner_service=row["owner_service"],
        owner_user=row["owner_user"],
        has_session=row["has_session"],
        previous_error=decode_error(row["previous_error"]),
    )


def queue_from(row: asyncpg.Record) -> Queue:
    """A queue from a row of read_queues.sql."""
    return Queue(
        name=row["name"],
        paused=row["paused"],
        policy=QueuePolicy(
            input_schema=row["input_schema"],
            output_schema=row["output_schema"],
            max_attempts=row["max_attempts"],
            initial_backoff_seconds=row["initial_backoff"],
            max_backoff_seconds=row["max_backoff"],
            backoff_multiplier=row["backoff_multiplier"],
            attempt_timeout_seconds=row["attempt_timeout"],
            lease_seconds=row["lease_duration"],
            retention_seconds=row["retention"],
        ),
        input_schema_id=row["input_schema_id"],
        output_schema_id=row["output_schema_id"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        revision=row["revision"],
    )
