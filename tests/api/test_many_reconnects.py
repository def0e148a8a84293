"""200 workers connect at once, as after a restart: the database does not hear of each."""

import asyncio
import logging
from contextlib import AsyncExitStack

import asyncpg
import pytest
from grpc import aio

from jobsvc.app import Replica
from tests.api.support.fixtures import Create
from tests.api.support.worker_stream import HandStream, work
from tests.support.probe import until_still

WORKERS = 200
#: A claim a queue is under way at a time, so those that come meanwhile share the next one.
MOST_CLAIMS = 4


async def test_200_workers_that_connect_at_once_share_their_claims(
    server: Replica,
    create: Create,
    queue: str,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, "jobsvc.dispatch.claim_loop")
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(
                aio.insecure_channel(
                    f"127.0.0.1:{server.port}", options=[("grpc.use_local_subchannel_pool", n)]
                )
            )
            for n in range(4)
        ]

        async def connect(number: int) -> HandStream:
            return await stack.enter_async_context(
                work(channels[number % 4], window=1, worker_id=f"w{number}")
            )

        async with sql.transaction():
            # The first claim waits until all have connected.
            await sql.execute("LOCK TABLE waiting IN ACCESS EXCLUSIVE MODE")
            streams = await asyncio.gather(*map(connect, range(WORKERS)))

        async def claims() -> int:
            return sum(r.message.startswith("claimed ") for r in caplog.records)

        await until_still(claims)
        assert 0 < await claims() <= MOST_CLAIMS
        # All of them are served.
        jobs = {(await create()).id for _ in range(WORKERS)}
        leases = await asyncio.gather(*(stream.dispatched() for stream in streams))
        assert {lease.job_id for some in leases for lease in some} == jobs
