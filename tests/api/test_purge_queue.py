"""PurgeQueue."""

import asyncio
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.job_service_pb2 import StreamJobStatusRequest
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import failure, lease_all, lease_one, report, success
from tests.api.support.worker_stream import create_many


async def _purge(queues: QueueServiceStub, **fields: Any) -> int:
    request = pb.PurgeQueueRequest(**({"name": "q"} | fields))
    return (await queues.PurgeQueue(request)).cancelled_count


async def test_every_waiting_job_is_cancelled_and_no_other(
    queues: QueueServiceStub,
    create: Create,
    declare: Any,
    workers: WorkerServiceStub,
    status: Status,
    sql: asyncpg.Connection,
) -> None:
    running = await create()
    lease = await lease_one(workers)
    retried = await create(priority=9)
    await report(workers, failure(await lease_one(workers), retry_delay=3600, message="first"))
    waiting = [
        await create(unique_key="k"),
        await create(schedule_time=Timestamp(seconds=4_000_000_000)),
        retried,
    ]
    await declare("other")
    other = await create(queue="other")
    assert await _purge(queues, reason="wrong input") == 3
    for job in waiting:
        ended = await status(job.id)
        assert ended.state == job_pb2.JOB_STATE_CANCELLED
        assert ended.HasField("end_time")
        assert ended.HasField("cancel_request_time")
    assert (await status(retried.id)).error.message == "first"
    assert {r["cancel_reason"] for r in await sql.fetch("SELECT * FROM result")} == {"wrong input"}
    assert (await status(other.id)).state == job_pb2.JOB_STATE_PENDING
    assert (await status(running.id)).state == job_pb2.JOB_STATE_PROCESSING
    await report(workers, success(lease))
    assert (await create(unique_key="k")).id != waiting[0].id, "the key is free"
    assert await _purge(queues) == 1


async def test_follower_sees_the_end_of_a_purged_job(
    queues: QueueServiceStub, create: Create, jobs: JobServiceStub
) -> None:
    job = await create()
    call = jobs.StreamJobStatus(StreamJobStatusRequest(job_ids=[job.id]))
    assert (await call.read()).update.status.state == job_pb2.JOB_STATE_PENDING
    await _purge(queues)
    while not (response := await call.read()).HasField("update"):
        pass
    assert response.update.status.state == job_pb2.JOB_STATE_CANCELLED


async def test_queue_of_many_batches_is_purged(
    queues: QueueServiceStub, queue: str, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    # All of a batch are as old as each other.
    for priority in (0, 3, 0):
        await create_many(jobs, 900, priority=priority)
    assert await _purge(queues) == 2700
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 0


async def test_what_was_done_before_the_deadline_stays_done(
    queues: QueueServiceStub, queue: str, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    for _ in range(2):
        await create_many(jobs, 750)
    async with sql.transaction():
        # The second batch waits for this one to be decided.
        await sql.execute("""
            INSERT INTO result (
                job_id, state, attempt, version, worker_id, end_time, purge_time, progress_message)
            SELECT job_id, 5, 0, 1, '', now(), now(), '' FROM waiting
            ORDER BY run_at DESC, job_id DESC LIMIT 1""")
        with pytest.raises(aio.AioRpcError) as raised:
            await queues.PurgeQueue(pb.PurgeQueueRequest(name="q"), timeout=2)
        assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert await sql.fetchval("SELECT count(*) FROM waiting") == 500
        await sql.execute("DELETE FROM result WHERE worker_id = '' AND purge_time = now()")
    # None, where the server had not yet heard that nobody waits any more.
    assert await _purge(queues) in (0, 500)
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 0


async def test_jobs_that_begin_meanwhile_are_either_cancelled_or_run(
    queues: QueueServiceStub,
    queue: str,
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    sql: asyncpg.Connection,
) -> None:
    for _ in range(3):
        await create_many(jobs, 1000)

    async def lease_some() -> int:
        return sum([len(await lease_all(workers, max_jobs=20)) for _ in range(40)])

    cancelled, leased = await asyncio.gather(_purge(queues), lease_some())
    assert leased
    assert cancelled
    assert cancelled + leased == 3000
    assert await sql.fetchval("SELECT count(*) FROM lease") == leased
    assert await sql.fetchval("SELECT count(*) FROM result") == cancelled


async def test_refused_purge_cancels_nothing(
    queues: QueueServiceStub, create: Create, tables: Tables
) -> None:
    await create()
    before = await tables()
    refusal = await refused(_purge(queues, etag="0"))
    assert refusal.what == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    refusal = await refused(_purge(queues, name="nowhere"))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
    refusal = await refused(_purge(queues, reason="x" * 501))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert await tables() == before
