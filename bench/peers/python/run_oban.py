"""Oban for Python: `python run_oban.py SCENARIO DSN JOBS`. Why the settings: ../README.md."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from load import (
    FILL_CALLS,
    PAYLOAD,
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
from oban import Job, Oban, worker
from oban.schema import install
from psycopg_pool import AsyncConnectionPool

POOL = 16
INSERT_BATCH = 1000
LIMIT = 500

STORED = "SELECT count(*) FROM oban_jobs"
SOME_LEFT = "SELECT EXISTS (SELECT FROM oban_jobs WHERE state IN ('available', 'executing'))"
ONCE = f"{STORED} WHERE state = 'completed' AND attempt = 1"

handled = Handled(-1)


@worker(queue="default")
class Noop:
    async def process(self, _job: Job) -> None:
        handled.add()


@asynccontextmanager
async def pool(dsn: str) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(dsn, min_size=POOL, max_size=POOL, open=False) as opened:
        await opened.wait()
        yield opened


async def prepare(dsn: str, _: int) -> None:
    async with pool(dsn) as connections:
        await install(connections)


async def fill(dsn: str, jobs: int) -> None:
    async with pool(dsn) as connections:
        oban = Oban(pool=connections)
        await produce(jobs, FILL_CALLS, INSERT_BATCH, lambda n: bulk(oban, n))
    await verify(dsn, STORED, jobs)


async def bulk(oban: Oban, count: int) -> None:
    await oban.enqueue_many(Noop.new(PAYLOAD) for _ in range(count))


async def create(dsn: str, jobs: int) -> None:
    async with pool(dsn) as connections:
        oban = Oban(pool=connections)
        await measure_creates(dsn, jobs, 1, lambda _: oban.enqueue(Noop.new(PAYLOAD)), STORED)


async def batch_create(dsn: str, jobs: int) -> None:
    async with pool(dsn) as connections:
        oban = Oban(pool=connections)
        await measure_creates(dsn, jobs, INSERT_BATCH, lambda n: bulk(oban, n), STORED)


async def drain(dsn: str, jobs: int) -> None:
    global handled
    handled = Handled(jobs)
    async with pool(dsn) as connections:
        await wait_for_start()
        async with Oban(pool=connections, queues={"default": LIMIT}):
            result = await measure_drain(handled, dsn, jobs, SOME_LEFT)
            await verify(dsn, ONCE, jobs)
            await send_result(result)


async def latency(dsn: str, jobs: int) -> None:
    async with pool(dsn) as connections, Oban(pool=connections, queues={"default": 10}) as oban:

        async def create_one() -> int:
            job = await oban.enqueue(Noop.new(PAYLOAD))
            assert job.id is not None
            return job.id

        trigger = "AFTER UPDATE OF state ON oban_jobs FOR EACH ROW WHEN (NEW.state = 'completed')"
        await send_result(await follow(dsn, jobs, trigger, "NEW.id", create_one))


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
