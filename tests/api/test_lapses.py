"""The server ends attempts that nobody reports on. Rows are aged; it finds them by itself."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2 import Queue, UpdateQueueRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import LOST, OK, lease_all, lease_one, report, success

_PENDING, _FAILED = job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_FAILED
_AGED_LEASE = "UPDATE lease SET until = now() - interval '1 second'"
_AGED_ATTEMPT = "UPDATE lease SET deadline = now() - interval '1 second'"
_AGED_JOB = "UPDATE waiting SET expire_time = now() - interval '1 second'"
_AGED_START = "UPDATE waiting SET start_deadline = now() - interval '1 second'"
_AGED_RUN = """UPDATE lease SET expire_time = now() - interval '1 second',
    deadline = now() - interval '1 second'"""


async def _after(jobs: JobServiceStub, job_id: str, version: int = 2) -> job_pb2.JobStatus:
    """The status of a job as soon as it is newer than `version`, that of a first lease."""
    request = pb.WaitJobRequest(job_id=job_id, after_version=version)
    status = (await jobs.WaitJob(request)).job.status
    assert status.version > version
    return status


async def test_job_of_a_silent_worker_waits_again(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create()
    lease = await lease_one(workers)
    await sql.execute(_AGED_LEASE)
    status = await _after(jobs, job.id)
    assert (status.state, status.attempt) == (_PENDING, 1)
    assert (status.error.code, status.error.reason) == (code_pb2.UNAVAILABLE, "LEASE_EXPIRED")
    read = await jobs.GetJob(pb.GetJobRequest(job_id=job.id))
    (attempt,) = read.job.status.recent_attempts
    assert (attempt.attempt, attempt.worker_id) == (1, "w1")
    assert attempt.error.reason == "LEASE_EXPIRED"
    delay = status.next_attempt_time.ToDatetime() - status.update_time.ToDatetime()
    assert delay.total_seconds() == pytest.approx(1, rel=0.2001)
    assert await report(workers, success(lease)) == [LOST]
    second = await lease_one(workers, wait=Duration(seconds=20))
    assert (second.attempt, second.previous_error.reason) == (2, "LEASE_EXPIRED")
    assert await report(workers, success(lease), success(second)) == [LOST, OK]


async def test_worker_silent_on_the_last_attempt_fails_the_job(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    lease = await lease_one(workers)
    await sql.execute(_AGED_LEASE)
    status = await _after(jobs, job.id)
    assert (status.state, status.error.reason) == (_FAILED, "LEASE_EXPIRED")
    assert await report(workers, success(lease)) == [LOST]


async def test_attempt_out_of_time_is_retried(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create()
    lease = await lease_one(workers)
    await sql.execute(_AGED_ATTEMPT)
    status = await _after(jobs, job.id)
    assert status.state == _PENDING
    assert status.error.code == code_pb2.DEADLINE_EXCEEDED
    assert status.error.reason == "ATTEMPT_TIMEOUT"
    assert await report(workers, success(lease)) == [LOST]


async def test_waiting_job_expires(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create(ttl=Duration(seconds=3600))
    other = await create()
    await sql.execute(_AGED_JOB + " WHERE expire_time IS NOT NULL")
    status = await _after(jobs, job.id, version=1)
    assert (status.state, status.attempt) == (_FAILED, 0)
    assert status.error.code == code_pb2.DEADLINE_EXCEEDED
    assert status.error.reason == "JOB_EXPIRED"
    assert [lease.job_id for lease in await lease_all(workers)] == [other.id]


async def test_job_that_no_worker_begins_in_time_fails(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create(start_within=Duration(seconds=30))
    assert job.spec.start_within == Duration(seconds=30)
    other = await create()
    await sql.execute(_AGED_START + " WHERE start_deadline IS NOT NULL")
    status = await _after(jobs, job.id, version=1)
    assert (status.state, status.attempt) == (_FAILED, 0)
    assert status.error.code == code_pb2.DEADLINE_EXCEEDED
    assert status.error.reason == "START_DEADLINE"
    assert [lease.job_id for lease in await lease_all(workers)] == [other.id]


async def test_queue_says_how_soon_its_jobs_must_start(
    create: Create, queues: QueueServiceStub, workers: WorkerServiceStub, queue: str
) -> None:
    change = Queue(name=queue, start_within=Duration(seconds=90))
    await queues.UpdateQueue(UpdateQueueRequest(queue=change))
    scheduled = Timestamp()
    scheduled.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    # Later than the queue's 90 seconds from now: they count from the schedule time.
    assert (await create(schedule_time=scheduled)).spec.start_within.seconds == 90
    assert (await create(start_within=Duration(seconds=5))).spec.start_within.seconds == 5
    assert len(await lease_all(workers)) == 1


async def test_running_job_expires(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create(ttl=Duration(seconds=3600))
    lease = await lease_one(workers)
    await sql.execute(_AGED_RUN)
    status = await _after(jobs, job.id)
    assert (status.state, status.attempt) == (_FAILED, 1)
    assert status.error.reason == "JOB_EXPIRED"
    assert await report(workers, success(lease)) == [LOST]


async def test_lease_never_outlasts_the_job(
    create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create(ttl=Duration(seconds=20), attempt_timeout=Duration(seconds=60))
    await lease_one(workers)
    deadline = await sql.fetchval("SELECT deadline FROM lease")
    assert deadline.replace(tzinfo=None) == job.spec.expire_time.ToDatetime()


async def test_cancelled_job_of_a_silent_worker_is_cancelled(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create()
    await lease_one(workers)
    await sql.execute("UPDATE lease SET cancel_request_time = now()")
    await sql.execute(_AGED_LEASE)
    assert (await _after(jobs, job.id)).state == job_pb2.JOB_STATE_CANCELLED
