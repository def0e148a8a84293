"""Silence is held against a worker only while somebody listened: leases that ran out while the
server or its database was away are rescued only after their workers had the time to come back."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from uuid import UUID

import asyncpg
import pytest
from grpc import aio

from jobsvc.app import Replica, replica
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2 import UpdateQueueRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.database_link import DatabaseLink
from tests.api.support.fixtures import Create
from tests.api.support.worker import OK, lease_one, report, success
from tests.api.support.worker_stream import create_many, work
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

LEASE_SECONDS = 0.9
#: How long a rescue waits after an outage.
WAIT_SECONDS = 0.3 + 1.2
_AWAY = ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
_ONCE = job_pb2.RetryPolicy(max_attempts=1)
_COMPLETED, _FAILED = job_pb2.JOB_STATE_COMPLETED, job_pb2.JOB_STATE_FAILED


@pytest.fixture
def settings() -> Settings:
    return replace(
        TEST_SETTINGS,
        lease_seconds=LEASE_SECONDS,
        extend_interval_seconds=0.3,
        reconnect_seconds=1.2,
        acknowledge_seconds=60.0,
        statement_seconds=0.5,
    )


@pytest.fixture
async def server(link: DatabaseLink, settings: Settings) -> AsyncIterator[Replica]:
    """A replica that goes by the link."""
    async with replica(link.dsn, settings) as running:
        yield running


async def _has_run_out(sql: asyncpg.Connection) -> bool:
    """Whether every lease ran out as long ago as it ran."""
    query = "SELECT bool_and(until < clock_timestamp() - $1 * interval '1 second') FROM lease"
    return bool(await sql.fetchval(query, LEASE_SECONDS))


async def test_worker_may_report_what_it_finished_while_the_database_was_away(
    link: DatabaseLink, create: Create, channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    for _ in range(2):
        await create(retry_policy=_ONCE)
    async with work(channel) as stream:
        reported, extended = await stream.dispatched()
        await link.cut()
        await eventually(lambda: _has_run_out(sql), what="the end of the lease")
        await link.mend()
        await asyncio.sleep(0.6)  # The worker takes its time, though less than it has.
        assert await stream.report(success(reported)) == [OK]
        (status,) = await stream.extend(pb.LeaseExtension(lease_id=extended.lease_id))
        assert status.state == pb.LEASE_STATE_HELD
        assert await stream.report(success(extended)) == [OK]
    rows = await sql.fetch("SELECT state, attempt FROM result")
    assert [tuple(row) for row in rows] == [(_COMPLETED, 1)] * 2


async def test_worker_may_report_what_could_not_be_written_for_a_while(
    create: Create, channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    """The database is there, and answers whoever only reads."""
    await create(retry_policy=_ONCE)
    async with work(channel) as stream:
        (lease,) = await stream.dispatched()
        async with sql.transaction():
            await sql.execute("LOCK TABLE lease IN SHARE MODE")
            while not await _has_run_out(sql):
                assert await stream.report(success(lease)) == [_AWAY]
        await asyncio.sleep(0.6)  # The worker takes its time, though less than it has.
        assert await stream.report(success(lease)) == [OK]


@pytest.mark.parametrize("column", ["until", "deadline"])
async def test_replica_that_starts_waits_for_workers_but_not_for_ever(
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
    sql: asyncpg.Connection,
    column: str,
) -> None:
    """Also with attempts that ran out of time: their workers may hold an outcome as well."""
    async with start_replica() as first, _channel(first) as channel:
        workers = WorkerServiceStub(channel)
        await QueueServiceStub(channel).UpdateQueue(
            UpdateQueueRequest(queue={"name": "q"}, allow_missing=True)
        )
        await create_many(JobServiceStub(channel), 2, retry_policy=_ONCE)
        alive, dead = await lease_one(workers), await lease_one(workers)
        # Nobody rescues them here any more.
        await sql.execute("UPDATE lease SET until = now() + interval '1 hour'")
    await sql.execute(
        f"UPDATE lease SET start_time = now() - interval '1 h', {column} = now() - interval '1 s'"
    )
    began = time.monotonic()
    async with start_replica() as second, _channel(second) as channel:
        await asyncio.sleep(0.6)  # The worker takes its time, though less than it has.
        assert await report(WorkerServiceStub(channel), success(alive)) == [OK]
        state = await eventually(
            lambda: sql.fetchval("SELECT state FROM result WHERE job_id = $1", _job_id(dead)),
            what="rescue",
        )
        seconds = time.monotonic() - began
    assert state == _FAILED
    # Promised is a lease and 5 s, from the moment from which the replica was there.
    assert WAIT_SECONDS <= seconds < LEASE_SECONDS + 5
    assert await sql.fetchval("SELECT attempt FROM result WHERE state = $1", _COMPLETED) == 1


async def test_job_of_a_worker_that_dies_is_rescued_at_once_where_nothing_was_away(
    create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await create(retry_policy=_ONCE)
    lease = await lease_one(workers)
    end_time = await eventually(
        lambda: sql.fetchval("SELECT end_time FROM result WHERE job_id = $1", _job_id(lease))
    )
    start_time = await sql.fetchval("SELECT start_time FROM result")
    assert (end_time - start_time).total_seconds() < LEASE_SECONDS + WAIT_SECONDS


def _job_id(lease: pb.JobLease) -> UUID:
    return UUID(lease.job_id)


def _channel(server: Replica) -> aio.Channel:
    return aio.insecure_channel(f"127.0.0.1:{server.port}")
