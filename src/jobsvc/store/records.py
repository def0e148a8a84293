"""Converts rows into domain values, and JSON columns in both directions."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter

import asyncpg
import msgspec

from jobsvc.domain.job import Job, JobError, JobState, JobStatus
from jobsvc.domain.lease import (
    Delivery,
    LapsedLease,
    LeasedJob,
    LeaseId,
    LeaseTerms,
    QueuePosition,
    Slot,
)
from jobsvc.domain.outcome import Finish
from jobsvc.domain.owner import Owner
from jobsvc.domain.queue import Pause, Queue, QueuePolicy
from jobsvc.domain.retry import RetryPolicy
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.store.columns import SEPARATOR

_EPOCH = datetime.fromtimestamp(0, UTC)
_decode_error = msgspec.json.Decoder(JobError).decode
_decode_labels = msgspec.json.Decoder(dict[str, str]).decode
_run_options = itemgetter(*[n.removesuffix("_seconds") for n in RunPolicy.__struct_fields__])


def encode_error(error: JobError | None) -> str | None:
    """Returns an error as it is stored: JSON."""
    return None if error is None else msgspec.json.encode(error).decode()


def decode_error(text: str | None) -> JobError | None:
    """Returns the error that `encode_error` stored."""
    return None if text is None else _decode_error(text)


def encode_labels(labels: dict[str, str]) -> str | None:
    """Returns labels as they are stored: JSON, or NULL for none."""
    return msgspec.json.encode(labels).decode() if labels else None


def _labels(text: str | None) -> dict[str, str]:
    return {} if text is None else _decode_labels(text)


def _retry(row: asyncpg.Record) -> RetryPolicy:
    return RetryPolicy(
        row["max_attempts"], row["initial_backoff"], row["max_backoff"], row["backoff_multiplier"]
    )


def _run_policy(row: asyncpg.Record) -> RunPolicy:
    return RunPolicy(*_run_options(row))


def job_from(row: asyncpg.Record) -> Job:
    """Converts a row of read_jobs.sql."""
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
        cancel_reason=row["cancel_reason"],
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
        run_policy=_run_policy(row),
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


def ended_status(row: asyncpg.Record, finish: Finish) -> JobStatus:
    """Converts the status in a row of finish_jobs.sql, of a job that finished so, into what
    `job_from` would make of it."""
    state, attempt, version, worker_id, start_time, end_time, purge_time, *others = row
    progress_percent, progress_message, cancel_request_time, cancel_reason = others
    return JobStatus(
        state=JobState(state),
        version=version,
        attempt=attempt,
        update_time=end_time,
        progress_percent=progress_percent,
        progress_message=progress_message or "",
        output=finish.output,
        error=finish.error,
        start_time=start_time,
        end_time=end_time,
        worker_id=worker_id or "",
        cancel_request_time=cancel_request_time,
        cancel_reason=cancel_reason or "",
        purge_time=purge_time,
    )


def lease_terms_from(row: asyncpg.Record) -> LeaseTerms:
    """Converts a row with the columns of the view lease_terms, and the age of the lease."""
    lease_time = time.monotonic() - row["age"]
    return _terms(row, row["worker_id"], row["cancel_requested"], lease_time)


def _terms(
    row: asyncpg.Record, worker_id: str, cancel_requested: bool, lease_time: float
) -> LeaseTerms:
    return LeaseTerms(
        queue=row["queue"],
        worker_id=worker_id,
        attempt=row["attempt"],
        retry=_retry(row),
        cancel_requested=cancel_requested,
        retention_seconds=row["retention"],
        output_schema_id=row["output_schema_id"],
        traceparent=row["traceparent"],
        tracestate=row["tracestate"],
        lease_time=lease_time,
    )


def lapsed_lease_from(row: asyncpg.Record) -> LapsedLease:
    """Converts a row of lapsed_leases.sql."""
    return LapsedLease(
        LeaseId.of(row["job_id"], row["lease_id"]),
        lease_terms_from(row),
        row["until"],
        row["deadline"],
        row["expire_time"],
        row["start_time"],
        row["duration"],
        row["read_time"],
    )


def leased_jobs_from(rows: Sequence[asyncpg.Record], slots: Sequence[Slot]) -> list[LeasedJob]:
    """Converts rows of lease_jobs.sql into jobs, in the order of their slots."""
    jobs: dict[int, LeasedJob] = {}
    seconds, create_time = 0.0, _EPOCH
    for row in rows:
        of_slots: dict[Slot, Delivery] = {}
        lease_ids = map(LeaseId, row["lease_ids"].split(" "))
        inputs = row["inputs"].split(SEPARATOR)
        own = zip(row["slots"], lease_ids, inputs, row["create_times"], strict=True)
        for number, lease_id, text, created in own:
            slot = slots[number - 1]
            delivery = of_slots.get(slot)
            if delivery is None:
                delivery = of_slots[slot] = _delivery_from(row, slot)
            if created != seconds:  # jobs of one batch have the same time
                seconds, create_time = created, datetime.fromtimestamp(created, UTC)
            jobs[number] = LeasedJob(lease_id, create_time, text or None, delivery)
    return [jobs[number] for number in sorted(jobs)]


def last_position_from(rows: Sequence[asyncpg.Record]) -> QueuePosition | None:
    """Returns the queue position of the last job of lease_jobs.sql; None if there are no jobs."""
    return QueuePosition(*rows[0]["last"]) if rows else None


def _delivery_from(row: asyncpg.Record, slot: Slot) -> Delivery:
    return Delivery(
        terms=_terms(row, slot.worker_id, cancel_requested=False, lease_time=time.monotonic()),
        duration_seconds=slot.duration_seconds,
        attempt_timeout_seconds=row["remaining"],
        labels=_labels(row["labels"]),
        owner_service=row["owner_service"],
        owner_user=row["owner_user"],
        has_session=row["has_session"],
        previous_error=decode_error(row["previous_error"]),
    )


def queue_from(row: asyncpg.Record) -> Queue:
    """Converts a row of read_queues.sql."""
    return Queue(
        name=row["name"],
        pause=Pause(row["pause_reason"], row["pause_end_time"]) if row["is_paused"] else None,
        deleting=row["delete_time"] is not None,
        policy=QueuePolicy(
            input_schema=row["input_schema"],
            output_schema=row["output_schema"],
            lease_seconds=row["lease_duration"],
            run_policy=_run_policy(row),
            max_waiting=row["max_waiting"],
        ),
        input_schema_id=row["input_schema_id"],
        output_schema_id=row["output_schema_id"],
        create_time=row["create_time"],
        update_time=row["update_time"],
        revision=row["revision"],
    )
