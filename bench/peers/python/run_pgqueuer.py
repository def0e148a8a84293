"""PgQueuer: `python run_pgqueuer.py SCENARIO DSN JOBS`. Why the settings: ../README.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from load import (
    FILL_CALLS,
    PAYLOAD_JSON,
    Handled,
    follow,
    main,
    measure_creates,
    measure_drain,
    produce,
    send_result,
    verify,
    wait_for_start,
)
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries

TASK = "noop"
PAYLOAD = PAYLOAD_JSON.encode()
POOL = 32
INSERT_BATCH = 1000
FETCH_BATCH = 1000

STORED = "SELECT count(*) FROM pgqueuer"
SOME_LEFT = "SELECT EXISTS (SELECT FROM pgqueuer)"
ONCE = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful'"


@asynccontextmanager
async def pool_queries(dsn: str) -> AsyncIterator[Queries]:
    async with asyncpg.create_pool(dsn, min_size=POOL, max_size=POOL) as pool:
        yield Queries(AsyncpgPoolDriver(pool))


@asynccontextmanager
async def connection_queries(dsn: str) -> AsyncIterator[Queries]:
    connection = await asyncpg.connect(dsn)
    yield Queries(AsyncpgDriver(connection))
    await connection.close()


async def prepare(dsn: str, _: int) -> None:
    async with connection_queries(dsn) as queries:
        await queries.install()


async def fill(dsn: str, jobs: int) -> None:
    async with pool_queries(dsn) as queries:
        await produce(jobs, FILL_CALLS, INSERT_BATCH, lambda n: bulk(queries, n))
    await verify(dsn, STORED, jobs)


async def bulk(queries: Queries, count: int) -> None:
    await queries.enqueue([TASK] * count, [PAYLOAD] * count, [0] * count)


async def create(dsn: str, jobs: int) -> None:
    async with pool_queries(dsn) as queries:
        await measure_creates(dsn, jobs, 1, lambda _: queries.enqueue(TASK, PAYLOAD), STORED)


async def batch_create(dsn: str, jobs: int) -> None:
    async with pool_queries(dsn) as queries:
        await measure_creates(dsn, jobs, INSERT_BATCH, lambda n: bulk(queries, n), STORED)


async def drain(dsn: str, jobs: int) -> None:
    handled = Handled(jobs)
    async with pool_queries(dsn) as queries:
        manager = QueueManager(queries)

        @manager.entrypoint(TASK)
        async def noop(_job: Job) -> None:
            handled.add()

        await wait_for_start()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(manager.run(batch_size=FETCH_BATCH))
            result = await measure_drain(handled, dsn, jobs, SOME_LEFT)
            await verify(dsn, ONCE, jobs)
            manager.shutdown.set()
        await send_result(result)


async def latency(dsn: str, jobs: int) -> None:
    async with connection_queries(dsn) as queries, connection_queries(dsn) as caller:
        manager = QueueManager(queries)

        @manager.entrypoint(TASK)
        async def noop(_job: Job) -> None:
            pass

        async def create_one() -> int:
            (job_id,) = await caller.enqueue(TASK, PAYLOAD)
            return job_id

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(manager.run(batch_size=1))
            result = await follow(
                dsn, jobs, "AFTER DELETE ON pgqueuer FOR EACH ROW", "OLD.id", create_one
            )
            manager.shutdown.set()
        await send_result(result)


main(
    {
        "prepare": prepare,
        "fill": fill,
        "create": create,
        "batch-create": batch_create,
        "drain": drain,
        "latency": latency,
    }
)
