"""LeaseJobs that waits for a job: how the wait ends, and where the job is then."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import asyncpg
import grpc
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.app import Replica
from jobsvc.settings import SCHEMA
from jobsvc.store.statement import texts
from jobsvc.v1.queue_service_pb2 import ListQueuesRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import lease_all
from tests.api.support.worker_stream import work
from tests.support.probe import eventually


async def test_wait_ends_with_the_first_job(create: Create, workers: WorkerServiceStub) -> None:
    waiting = asyncio.create_task(lease_all(workers, wait=Duration(seconds=60)))
    # Answered after the call above has been taken up: calls of one channel come in their order.
    assert await lease_all(workers, worker_id="w2") == []
    job = await create()
    (lease,) = await asyncio.wait_for(waiting, 10)
    assert lease.job_id == job.id


async def test_wait_that_brings_nothing_is_no_error(workers: WorkerServiceStub, queue: str) -> None:
    assert await lease_all(workers, wait=Duration(nanos=200_000_000)) == []


async def test_jobs_of_a_caller_that_left_are_back_without_using_an_attempt(
    create: Create, workers: WorkerServiceStub
) -> None:
    waiting = asyncio.create_task(lease_all(workers, wait=Duration(seconds=60)))
    assert await lease_all(workers, worker_id="w2") == []
    waiting.cancel()
    await create()
    (lease,) = await lease_all(workers, worker_id="w2", wait=Duration(seconds=20))
    assert lease.attempt == 1


async def test_server_that_leaves_puts_back_what_it_was_about_to_lease(
    create: Create,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
    sql: asyncpg.Connection,
) -> None:
    await create()

    async def blocked() -> list[asyncpg.Record]:
        return await sql.fetch("SELECT FROM pg_stat_activity WHERE wait_event = 'relation'")

    async def is_leaving() -> bool:
        try:
            await QueueServiceStub(channel).ListQueues(ListQueuesRequest())
        except aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNAVAILABLE
        return False

    async def unblock() -> None:
        await eventually(is_leaving)
        await lock.rollback()

    async with AsyncExitStack() as stack:
        async with start_replica() as leaving:
            address = f"127.0.0.1:{leaving.port}"
            channel = await stack.enter_async_context(aio.insecure_channel(address))
            lock = sql.transaction()
            await lock.start()
            await sql.execute("LOCK TABLE lease")
            leasing = asyncio.create_task(lease_all(WorkerServiceStub(channel)))
            await eventually(blocked)
            leasing.cancel()
            unblocking = asyncio.create_task(unblock())
        await asyncio.gather(leasing, unblocking, return_exceptions=True)
    rows = await sql.fetch("SELECT attempt, redeliveries FROM waiting")
    assert [tuple(row) for row in rows] == [(0, 0)]


async def test_wait_ends_when_a_stream_of_the_same_worker_takes_over_during_a_claim(
    create: Create, channel: aio.Channel, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    async def in_line() -> list[asyncpg.Record]:
        return await sql.fetch(
            "SELECT FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database() AND query = $1",
            texts(SCHEMA)["ready_queues"],
        )

    async def claiming() -> list[asyncpg.Record]:
        # Not any lock: other duties wait for this table as well.
        waits = "SELECT FROM pg_locks WHERE NOT granted AND mode = 'RowExclusiveLock'"
        return await sql.fetch(waits)

    waiting = asyncio.create_task(lease_all(workers, wait=Duration(seconds=60)))
    await eventually(in_line)  # The poll asks for those who are in line.
    async with sql.transaction():
        await sql.execute("LOCK TABLE lease IN EXCLUSIVE MODE")
        creation = asyncio.ensure_future(create())
        await eventually(claiming)
        async with work(channel, window=0):
            assert await asyncio.wait_for(waiting, 10) == []
    await creation
    (lease,) = await lease_all(workers, worker_id="w2", wait=Duration(seconds=20))
    assert lease.attempt == 1
