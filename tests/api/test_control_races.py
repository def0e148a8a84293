"""Calls that control a job and meet a move of it: a second look with a new snapshot decides."""

import asyncio

import asyncpg
import grpc
import pytest
from google.rpc import code_pb2

from jobsvc.v1 import job_pb2, worker_service_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, failure, lease_one, release, report, success
from tests.store.support.samples import until_blocked

_CONFLICT = (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE_CONFLICT")
#: Back into the queue, as a release does it.
_REQUEUE = """
    WITH gone AS (DELETE FROM lease RETURNING *)
    INSERT INTO waiting (job_id, queue, rank, run_at, attempt, redeliveries, version, update_time,
        keyed)
    SELECT job_id, queue, rank, run_at, attempt - 1, redeliveries, version + 1, now(), keyed
    FROM gone
"""
_REQUEST = "UPDATE lease SET cancel_request_time = now(), version = version + 1"


async def test_cancel_follows_a_job_that_moves_meanwhile(
    sql: asyncpg.Connection,
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    create: Create,
) -> None:
    job = await create()
    await lease_one(workers)
    async with sql.transaction():
        await sql.execute(_REQUEUE)
        call = asyncio.ensure_future(jobs.CancelJob(pb.CancelJobRequest(job_id=job.id)))
        await until_blocked(sql)
    assert (await call).job.status.state == job_pb2.JOB_STATE_CANCELLED
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 0


async def test_update_does_not_touch_a_job_that_is_leased_meanwhile(
    sql: asyncpg.Connection, jobs: JobServiceStub, create: Create
) -> None:
    job = await create()
    gone = "CREATE TEMPORARY TABLE moved ON COMMIT DROP AS SELECT * FROM waiting"
    async with sql.transaction():
        await sql.execute(gone)
        await sql.execute("DELETE FROM waiting")
        request = pb.UpdateJobRequest(job_id=job.id, spec=job_pb2.JobSpec(priority=1))
        call = asyncio.ensure_future(refused(jobs.UpdateJob(request)))
        await until_blocked(sql)
        await sql.execute(
            "INSERT INTO lease (job_id, lease_id, queue, rank, attempt, redeliveries, version,"
            " update_time, keyed, worker_id, start_time, duration, until, deadline)"
            " SELECT job_id, 1, queue, rank, 1, 0, version + 1, now(), keyed, 'w', now(), 30,"
            " now() + interval '30 s', now() + interval '30 s' FROM moved"
        )
    refusal = await call
    assert (refusal.what, refusal.metadata["state"]) == (_CONFLICT, "PROCESSING")
    assert await sql.fetchval("SELECT priority FROM job") == 0


async def test_of_two_retries_one_wins(
    sql: asyncpg.Connection, jobs: JobServiceStub, create: Create
) -> None:
    job = await create()
    await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id))
    async with sql.transaction():
        await sql.execute("SELECT 1 FROM result FOR UPDATE")
        calls = [
            asyncio.ensure_future(jobs.RetryJob(pb.RetryJobRequest(job_id=job.id)))
            for _ in range(2)
        ]
        await until_blocked(sql)
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(result, pb.RetryJobResponse) for result in results) == 1
    assert await sql.fetchval("SELECT version FROM waiting") == 3


async def test_cancel_that_comes_before_the_write_of_a_success_is_overruled_by_it(
    sql: asyncpg.Connection,
    workers: WorkerServiceStub,
    create: Create,
    status: Status,
) -> None:
    job = await create()
    lease = await lease_one(workers)
    async with sql.transaction():
        await sql.execute(_REQUEST)
        call = asyncio.ensure_future(report(workers, success(lease)))
        await until_blocked(sql)
    assert await call == [OK]
    assert (await status(job.id)).state == job_pb2.JOB_STATE_COMPLETED


@pytest.mark.parametrize("kind", ["retryable", "permanent", "release"])
async def test_other_outcome_that_was_decided_before_the_cancel_ends_the_job_as_cancelled(
    sql: asyncpg.Connection,
    workers: WorkerServiceStub,
    create: Create,
    status: Status,
    kind: str,
) -> None:
    job = await create()
    lease = await lease_one(workers)
    outcome: worker_service_pb2.JobOutcome = {
        "retryable": failure(lease),
        "permanent": failure(lease, code_pb2.DATA_LOSS),
        "release": release(lease),
    }[kind]
    async with sql.transaction():
        await sql.execute(_REQUEST)
        call = asyncio.ensure_future(report(workers, outcome))
        await until_blocked(sql)
    assert await call == [OK], "not LEASE_LOST"
    assert (await status(job.id)).state == job_pb2.JOB_STATE_CANCELLED
