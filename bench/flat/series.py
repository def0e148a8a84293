"""The series: each fills a database step by step, and is measured at each step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg

from bench.flat.churn import churn
from bench.flat.round import Bench
from bench.measure.statement import sql
from bench.measure.workload import QUEUE
from jobsvc.dispatch.planner import LATE_SECONDS

#: Rows of one filling statement.
_STEP = 500_000
#: Jobs that wait behind while others churn, and jobs in each busy queue.
_BACKLOG = 100_000
_BUSY = 1000
#: The queues that have jobs.
_BUSY_QUEUES = (QUEUE, "queue-1", "queue-2")

#: Fills a database up from one size to the next; returns numbers worth reporting.
Grow = Callable[[Bench, asyncpg.Connection, int, int], Awaitable[dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that grows.

    `vacuums`: all tables are vacuumed before each step, as they would be in time. `snapshot`: a
    transaction stays open all the time, as that of a long report would.
    """

    name: str
    title: str
    sizes: Sequence[int]
    grow: Grow
    vacuums: bool = True
    snapshot: bool = False


def all_series(max_finished: int, max_churned: int) -> list[Series]:
    """Every series; the longest ones up to these sizes."""
    finished = [size for size in (10, 1000, 100_000, 1_000_000) if size < max_finished]
    churned = [max_churned * n // 3 for n in range(4)]
    waiting = [10, 1000, 10_000, 100_000, 1_000_000]
    gone = [10, 1000, 10_000, 100_000, 300_000]
    return [
        Series("finished", "finished jobs", [*finished, max_finished], _finish),
        Series("waiting", "waiting jobs in the queue", waiting, _wait),
        Series("queues", "queues, 3 of them busy", [3, 100, 1000], _declare),
        Series("leases", "live leases", [10, 1000, 10_000], _lease),
        Series("churn", "jobs through the queue", churned, _churn, vacuums=False),
        Series("snapshot", "jobs gone under an open transaction", gone, _leave, False, True),
    ]


async def _fill(connection: asyncpg.Connection, name: str, queue: str, count: int) -> None:
    for start in range(0, count, _STEP):
        await connection.execute(sql(name), queue, min(_STEP, count - start))


async def _finish(b: Bench, c: asyncpg.Connection, before: int, after: int) -> dict[str, float]:
    await _fill(c, "fill_finished", QUEUE, after - before)
    return {}


async def _wait(b: Bench, c: asyncpg.Connection, before: int, after: int) -> dict[str, float]:
    await _fill(c, "fill_waiting", QUEUE, after - before)
    return {}


async def _lease(b: Bench, c: asyncpg.Connection, before: int, after: int) -> dict[str, float]:
    await _fill(c, "fill_leases", QUEUE, after - before)
    return {}


async def _declare(b: Bench, c: asyncpg.Connection, before: int, after: int) -> dict[str, float]:
    names = [QUEUE, *(f"queue-{n}" for n in range(1, after))]
    await b.store.queues.declare(names)
    if not before:
        for queue in _BUSY_QUEUES:
            await _fill(c, "fill_waiting", queue, _BUSY)
    return {}


async def _leave(b: Bench, c: asyncpg.Connection, before: int, after: int) -> dict[str, float]:
    """Jobs come and go; the open transaction keeps their dead rows from being removed."""
    b.claims_onward = True
    await _fill(c, "fill_waiting", QUEUE, after - before)
    await c.execute(sql("empty_queue"), QUEUE)
    await asyncio.sleep(LATE_SECONDS)  # a claim reads so far back again
    return {}


async def _churn(b: Bench, c: asyncpg.Connection, before: int, after: int) -> dict[str, float]:
    if not before and not after:
        await _fill(c, "fill_waiting", QUEUE, _BACKLOG)
        await c.execute("VACUUM (ANALYZE)")
        return {}
    return await churn(b.store, after - before)
