"""procrastinate: `python run_procrastinate.py SCENARIO DSN JOBS`. Settings: ../README.md."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

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
from procrastinate import App, PsycopgConnector
from procrastinate.tasks import Task

POOL = 16
INSERT_BATCH = 1000
CONCURRENCY = 32

STORED = "SELECT count(*) FROM procrastinate_jobs"
SOME_LEFT = "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
ONCE = f"{STORED} WHERE status = 'succeeded' AND attempts = 1"

handled = Handled(-1)


def make(dsn: str) -> tuple[App, Task[Any, Any, Any]]:
    app = App(connector=PsycopgConnector(conninfo=dsn, min_size=POOL, max_size=POOL))

    @app.task(name="noop")
    async def noop(n: str) -> None:
        handled.add()

    return app, noop


async def prepare(dsn: str, _: int) -> None:
    app, _noop = make(dsn)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def fill(dsn: str, jobs: int) -> None:
    app, noop = make(dsn)
    async with app.open_async():
        await produce(jobs, FILL_CALLS, INSERT_BATCH, lambda n: bulk(noop, n))
    await verify(dsn, STORED, jobs)


async def bulk(noop: Task[Any, Any, Any], count: int) -> None:
    await noop.batch_defer_async(*[PAYLOAD] * count)


async def create(dsn: str, jobs: int) -> None:
    app, noop = make(dsn)
    async with app.open_async():
        await measure_creates(dsn, jobs, 1, lambda _: noop.defer_async(**PAYLOAD), STORED)


async def batch_create(dsn: str, jobs: int) -> None:
    app, noop = make(dsn)
    async with app.open_async():
        await measure_creates(dsn, jobs, INSERT_BATCH, lambda n: bulk(noop, n), STORED)


async def drain(dsn: str, jobs: int) -> None:
    global handled
    handled = Handled(jobs)
    app, _noop = make(dsn)
    async with app.open_async():
        await wait_for_start()
        working = asyncio.create_task(
            app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)
        )
        result = await measure_drain(handled, dsn, jobs, SOME_LEFT)
        await verify(dsn, ONCE, jobs)
        await send_result(result)
        await ended(working)


async def ended(working: asyncio.Task[None]) -> None:
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working


async def latency(dsn: str, jobs: int) -> None:
    app, noop = make(dsn)
    async with app.open_async():
        working = asyncio.create_task(
            app.run_worker_async(concurrency=4, install_signal_handlers=False)
        )
        trigger = (
            "AFTER UPDATE OF status ON procrastinate_jobs FOR EACH ROW "
            "WHEN (NEW.status = 'succeeded')"
        )
        await send_result(
            await follow(dsn, jobs, trigger, "NEW.id", lambda: noop.defer_async(**PAYLOAD))
        )
        await ended(working)


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
