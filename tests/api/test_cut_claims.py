"""The connection of a worker breaks while a claim for it is on its way."""

import asyncio

import asyncpg
import pytest
from grpc import aio

from jobsvc.app import Replica
from tests.api.support.fixtures import Create
from tests.api.support.worker_stream import open_stream, subscribe, work
from tests.e2e.support.proxy import proxy
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

CLAIMING = """SELECT FROM pg_stat_activity
WHERE wait_event_type = 'Lock'
AND (query LIKE '%Leases the next ready jobs%' OR query LIKE '%leases some of them%')"""


async def test_job_that_was_claimed_for_a_broken_stream_is_back_at_once_and_unattempted(
    create: Create,
    channel: aio.Channel,
    server: Replica,
    dsn: str,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="jobsvc")

    def gone() -> bool:
        return any("worker w1 is lost" in m or "worker w1 left" in m for m in caplog.messages)

    async with proxy(server.port) as between:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with (
            aio.insecure_channel(between.target, options=options) as broken,
            open_stream(broken) as stream,
        ):
            await stream.send(subscribe=subscribe(worker_id="w1"))
            await stream.frame("subscribed")
            async with sql.transaction():
                await sql.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
                # A claim for it waits, or the creation itself: it is to be born leased.
                creation = asyncio.ensure_future(create())
                await eventually(lambda: fetch(dsn, CLAIMING), what="a claim that waits")
                assert between.cut() == 1
                await eventually(gone, what="the server's notice that the stream broke")
            async with work(channel, worker_id="w2") as other:
                (lease,) = await other.dispatched()
    assert (lease.job_id, lease.attempt) == ((await creation).id, 1)
    # Never sent: neither an attempt nor one of the ten redeliveries is used.
    row = await sql.fetchrow("SELECT attempt, redeliveries FROM lease")
    assert tuple(row) == (1, 0)
