"""RetryJob: a job that FAILED or was CANCELLED lives on under its id."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, cancelled, failure, lease_all, lease_one, report, success
from tests.store.support.samples import until_blocked
from tests.support.probe import eventually

_CONFLICT = (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE_CONFLICT")


async def _retry(jobs: JobServiceStub, job_id: str, **fields: Any) -> job_pb2.Job:
    return (await jobs.RetryJob(pb.RetryJobRequest(job_id=job_id, **fields))).job


async def _cancel(jobs: JobServiceStub, job_id: str) -> None:
    await jobs.CancelJob(pb.CancelJobRequest(job_id=job_id))


async def _fail(workers: WorkerServiceStub) -> None:
    lease = await lease_one(workers)
    assert await report(workers, failure(lease, code_pb2.DATA_LOSS, reason="BROKEN")) == [OK]


async def test_failed_job_runs_again_with_its_history(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, status: Status
) -> None:
    job = await create()
    await _fail(workers)
    before = await status(job.id)
    answer = await _retry(jobs, job.id)
    assert answer.id == job.id
    assert answer.status.state == job_pb2.JOB_STATE_PENDING
    assert answer.status.version > before.version
    assert answer.status.attempt == 1
    assert answer.status.error.reason == "BROKEN"
    assert not answer.HasField("purge_time")
    assert answer.spec.retry_policy.max_attempts == 2
    lease = await lease_one(workers)
    assert (lease.job_id, lease.attempt, lease.last_attempt) == (job.id, 2, True)
    assert lease.previous_error.reason == "BROKEN"
    assert await report(workers, success(lease)) == [OK]
    ended = await status(job.id)
    assert ended.state == job_pb2.JOB_STATE_COMPLETED
    assert [a.attempt for a in ended.recent_attempts] == [2, 1]


async def test_attempts_are_granted_on_top_of_those_made(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    policy = job_pb2.RetryPolicy(max_attempts=1, initial_backoff=Duration())
    job = await create(retry_policy=policy)
    await _fail(workers)
    await sql.execute("UPDATE result SET attempt = 100")
    await _retry(jobs, job.id, extra_attempts=100)
    for attempt in (101, 102):
        lease = await lease_one(workers)
        assert (lease.attempt, lease.last_attempt) == (attempt, False)
        assert await report(workers, failure(lease)) == [OK]
    assert await sql.fetchval("SELECT max_attempts FROM job") == 200


async def test_cancelled_attempt_stays_in_the_history(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, status: Status
) -> None:
    job = await create()
    lease = await lease_one(workers)
    await _cancel(jobs, job.id)
    assert await report(workers, cancelled(lease)) == [OK]
    retried = (await _retry(jobs, job.id)).status
    assert not retried.HasField("cancel_request_time")
    assert not retried.cancel_reason
    (past,) = (await status(job.id)).recent_attempts
    assert (past.attempt, past.error.reason) == (1, "ATTEMPT_CANCELLED")


async def test_job_that_never_ran_begins_with_its_first_attempt(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    job = await create(start_within=Duration(seconds=60))
    await _cancel(jobs, job.id)
    await sql.execute("UPDATE job SET create_time = create_time - interval '1 hour'")
    await _retry(jobs, job.id)
    left = await sql.fetchval("SELECT start_deadline - clock_timestamp() FROM waiting")
    assert 50 < left.total_seconds() <= 60, "it counts anew"
    assert (await lease_one(workers)).attempt == 1


async def test_schedule_in_the_future_holds(jobs: JobServiceStub, create: Create) -> None:
    later = Timestamp()
    later.GetCurrentTime()
    later.seconds += 3600
    job = await create(schedule_time=later)
    await _cancel(jobs, job.id)
    assert (await _retry(jobs, job.id)).status.next_attempt_time == later


async def test_expiry_that_has_passed_is_lifted(
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    create: Create,
    status: Status,
    sql: asyncpg.Connection,
) -> None:
    job = await create(ttl=Duration(seconds=3600))
    for table in ("job", "waiting"):
        await sql.execute(f"UPDATE {table} SET expire_time = clock_timestamp()")
    ended = await eventually(lambda: status(job.id), lambda s: s.HasField("end_time"))
    assert ended.error.reason == "JOB_EXPIRED"
    assert not (await _retry(jobs, job.id)).spec.HasField("expire_time")
    assert (await lease_one(workers)).job_id == job.id


async def test_expiry_in_the_future_holds(jobs: JobServiceStub, create: Create) -> None:
    job = await create(ttl=Duration(seconds=3600))
    await _cancel(jobs, job.id)
    assert (await _retry(jobs, job.id)).spec.expire_time == job.spec.expire_time


async def test_stream_that_is_opened_again_sees_the_job_live_on(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    job = await create()

    async def follow(until_pending: bool) -> list[job_pb2.JobStatus]:
        seen = []
        stream = jobs.StreamJobStatus(pb.StreamJobStatusRequest(job_ids=[job.id]))
        async for response in stream:
            if response.HasField("update"):
                seen.append(response.update.status)
                if until_pending:
                    stream.cancel()
                    break
        return seen

    await _cancel(jobs, job.id)
    last = (await follow(until_pending=False))[-1]
    assert last.state == job_pb2.JOB_STATE_CANCELLED
    await _retry(jobs, job.id)
    (now,) = await follow(until_pending=True)
    assert now.state == job_pb2.JOB_STATE_PENDING
    assert now.version > last.version
    assert await report(workers, success(await lease_one(workers))) == [OK]
    (ended,) = await follow(until_pending=False)
    assert ended.state == job_pb2.JOB_STATE_COMPLETED
    assert ended.version > now.version


async def test_key_that_another_job_holds_by_now_refuses(
    jobs: JobServiceStub, create: Create, tables: Tables
) -> None:
    first = await create(unique_key="k")
    await _cancel(jobs, first.id)
    second = await create(unique_key="k")
    before = await tables()
    refusal = await refused(jobs.RetryJob(pb.RetryJobRequest(job_id=first.id)))
    assert refusal.what == (grpc.StatusCode.ALREADY_EXISTS, "UNIQUE_KEY_TAKEN")
    assert refusal.metadata == {"jobId": second.id}
    assert await tables() == before
    await _cancel(jobs, second.id)
    await _retry(jobs, first.id)
    assert (await create(unique_key="k")).id == first.id, "it holds its key again"


async def test_holder_whose_time_is_over_gives_the_key_up(
    jobs: JobServiceStub, create: Create, status: Status, sql: asyncpg.Connection
) -> None:
    first = await create(unique_key="k")
    await _cancel(jobs, first.id)
    second = await create(unique_key="k", ttl=Duration(seconds=3600))
    await sql.execute("UPDATE waiting SET expire_time = clock_timestamp()")
    await _retry(jobs, first.id)
    assert (await status(second.id)).error.reason == "JOB_EXPIRED"


async def test_only_jobs_that_failed_or_were_cancelled_are_retried(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, tables: Tables
) -> None:
    waiting = await create()
    refusal = await refused(jobs.RetryJob(pb.RetryJobRequest(job_id=waiting.id)))
    assert (refusal.what, refusal.metadata["state"]) == (_CONFLICT, "PENDING")
    lease = await lease_one(workers)
    refusal = await refused(jobs.RetryJob(pb.RetryJobRequest(job_id=waiting.id)))
    assert (refusal.what, refusal.metadata["state"]) == (_CONFLICT, "PROCESSING")
    assert await report(workers, success(lease)) == [OK]
    before = await tables()
    refusal = await refused(jobs.RetryJob(pb.RetryJobRequest(job_id=waiting.id)))
    assert (refusal.what, refusal.metadata["state"]) == (_CONFLICT, "COMPLETED")
    assert await tables() == before


async def test_emptied_job_is_not_found(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    job = await create(request_id=str(uuid4()))
    await _cancel(jobs, job.id)
    await sql.execute("UPDATE result SET purge_time = clock_timestamp()")
    await eventually(lambda: sql.fetchval("SELECT emptied_time FROM result"))
    refusal = await refused(jobs.RetryJob(pb.RetryJobRequest(job_id=job.id)))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 0


@pytest.mark.parametrize("extra", [-1, 101])
async def test_wrong_fields_are_named(jobs: JobServiceStub, extra: int) -> None:
    refusal = await refused(jobs.RetryJob(pb.RetryJobRequest(job_id="x", extra_attempts=extra)))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == ["job_id", "extra_attempts"]


async def test_etag_of_another_version_is_refused(
    jobs: JobServiceStub, create: Create, tables: Tables
) -> None:
    job = await create()
    await _cancel(jobs, job.id)
    before = await tables()
    refusal = await refused(jobs.RetryJob(pb.RetryJobRequest(job_id=job.id, etag=job.etag)))
    assert refusal.what == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await tables() == before


async def test_retried_job_is_leased_once(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    job = await create()
    await _cancel(jobs, job.id)
    await _retry(jobs, job.id)
    assert (await refused(jobs.RetryJob(pb.RetryJobRequest(job_id=job.id)))).what == _CONFLICT
    assert len(await lease_all(workers)) == 1


async def test_job_whose_queue_is_being_removed_is_not_queued_again(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    """The retry waits for the removal that is about to be committed."""
    job = await create()
    await _fail(workers)
    async with sql.transaction():
        await sql.execute("DELETE FROM queue")
        retrying = asyncio.ensure_future(refused(_retry(jobs, job.id)))
        await until_blocked(sql)
    assert (await retrying).what == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 0
    assert await sql.fetchval("SELECT count(*) FROM result") == 1
