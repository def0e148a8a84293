"""Values to begin a test with."""

from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from jobsvc.domain.job import Job, JobState, JobStatus
from jobsvc.domain.lease import Delivery, LeasedJob, LeaseId, LeaseTerms
from jobsvc.domain.owner import Owner
from jobsvc.domain.retry import RetryPolicy
from jobsvc.domain.run_policy import RunPolicy
from jobsvc.domain.worker import SeenWorker

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RETRY = RetryPolicy(3, 1.0, 600.0, 2.0)
RUN_POLICY = RunPolicy(3, 1.0, 600.0, 2.0, 900.0)
JOB_ID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"


_TERMS = LeaseTerms(
    queue="q",
    worker_id="w",
    attempt=1,
    retry=RETRY,
    cancel_requested=False,
    retention_seconds=None,
    output_schema_id=None,
    traceparent="",
    tracestate="",
)


def terms(**changes: Any) -> LeaseTerms:
    """Terms of a lease: the first attempt of three, without a cancel request."""
    return replace(_TERMS, **changes)


def untimed(terms: LeaseTerms) -> LeaseTerms:
    """The terms without the time of the lease, which each reader has from its own clock."""
    return replace(terms, lease_time=0.0)


def job(owner: Owner | None = None, **status: Any) -> Job:
    """A job that waits for a worker, unless `status` says otherwise."""
    pending = JobStatus(JobState.PENDING, version=1, attempt=0, update_time=NOW, run_time=NOW)
    return Job(
        id=JOB_ID,
        queue="q",
        owner=owner or Owner(),
        input=None,
        priority=0,
        schedule_time=None,
        expire_time=None,
        run_policy=RUN_POLICY,
        unique_key=None,
        labels={},
        traceparent="",
        tracestate="",
        create_time=NOW,
        request_id=None,
        request_digest=None,
        status=replace(pending, **status),
        read_time=NOW,
    )


def leased_job(number: int, queue: str = "q") -> LeasedJob:
    """A job with lease `number`."""
    delivery = Delivery(terms(queue=queue), 30.0, 900.0, {}, "", "", False, None)
    return LeasedJob(LeaseId.of(JOB_ID, number), NOW, None, delivery)


def seen_worker(window: int = 10) -> SeenWorker:
    """A worker of the queue `q`."""
    return SeenWorker("w", ("q",), window, 0, "1", "sdk", {})
