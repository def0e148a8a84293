"""Every connection to the database is in use: waits are bounded, streams live, and it passes."""

import asyncio
from dataclasses import replace

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.settings import Settings
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refusal
from tests.api.support.worker import OK, success
from tests.api.support.worker_stream import work
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

POOL_SIZE = 2
STATEMENT_SECONDS = 3.0
HEARTBEAT_SECONDS = 0.2
BLOCKED = """SELECT FROM pg_stat_activity
WHERE application_name = 'jobsvc' AND wait_event_type = 'Lock' AND datname = current_database()"""
OPEN = """SELECT FROM pg_stat_activity WHERE application_name = 'jobsvc' AND state <> 'idle'
AND datname = current_database()"""


@pytest.fixture
def settings() -> Settings:
    return replace(
        TEST_SETTINGS,
        pool_size=POOL_SIZE,
        statement_seconds=STATEMENT_SECONDS,
        heartbeat_interval_seconds=HEARTBEAT_SECONDS,
    )


async def test_exhausted_pool_is_waited_for_a_bounded_time_and_streams_live_on(
    create: Create, channel: aio.Channel, dsn: str, sql: asyncpg.Connection
) -> None:
    await create()
    async with work(channel, window=1) as stream:
        (lease,) = await stream.dispatched()
        async with sql.transaction():
            await sql.execute("LOCK TABLE job, queue IN ACCESS EXCLUSIVE MODE")
            # Two kinds of statements, since creations of one kind share a connection.
            calls = [
                asyncio.ensure_future(create(**spec))
                for n in range(10)
                for spec in ({}, {"unique_key": f"k{n}"})
            ]
            await eventually(
                lambda: fetch(dsn, BLOCKED),
                lambda rows: len(rows) == POOL_SIZE,
                what="a pool that is exhausted",
            )
            for _ in range(3):
                await stream.frame("heartbeat")
            assert await fetch(dsn, BLOCKED), "the pool was free again by then"
            # Bounded: the wait for a connection, then the statement itself.
            async with asyncio.timeout(10 * STATEMENT_SECONDS):
                errors = await asyncio.gather(*calls, return_exceptions=True)
            for error in errors:
                assert isinstance(error, aio.AioRpcError)
                said = refusal(error)
                assert said.what == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
                assert "RetryInfo" in said.details
        assert (await create()).id
        assert await stream.report(success(lease)) == [OK]
    await eventually(lambda: fetch(dsn, OPEN), lambda rows: not rows, what="sessions at rest")
