"""Measures a series on a database and a server of its own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import asyncpg

from bench.flat.point import Point
from bench.flat.round import Times, bench
from bench.flat.series import Series
from bench.measure.jobsvc_processes import servers
from bench.measure.observer import observing
from bench.measure.postgres import Postgres, fresh_database
from bench.measure.statement import sql
from bench.measure.workload import QUEUE

_WARM_UP = 3


async def run(postgres: Postgres, series: Series, rounds: int) -> AsyncIterator[Point]:
    """The points of a series, smallest first; reports progress on stderr."""
    async with (
        fresh_database(postgres.dsn, f"flat_{series.name}") as dsn,
        servers(postgres, dsn) as (server,),
        bench(dsn, server.detail) as measured,
        observing(dsn) as connection,
        _snapshot(dsn) if series.snapshot else nullcontext(),
    ):
        await measured.store.queues.declare([QUEUE])
        before = 0
        for size in series.sizes:
            print(f"{series.title}: {size:,}", file=sys.stderr, flush=True)
            state = await series.grow(measured, connection, before, size)
            before = size
            if series.vacuums:
                await connection.execute("VACUUM (ANALYZE)")
                await connection.execute("CHECKPOINT")
            else:
                state |= await _dead_rows(connection)
            for _ in range(_WARM_UP):
                await measured.round(Times())
            times = Times()
            for _ in range(rounds):
                await measured.round(times)
            yield Point(series.name, size, times.taken, state)


@asynccontextmanager
async def _snapshot(dsn: str) -> AsyncIterator[None]:
    """Keeps a transaction that has read something open for the length of the block."""
    async with observing(dsn) as connection, connection.transaction(isolation="repeatable_read"):
        await connection.execute("SELECT FROM jobsvc.queue")
        yield


async def _dead_rows(connection: asyncpg.Connection) -> dict[str, float]:
    row = await connection.fetchrow(sql("dead"))
    assert row is not None
    return {name: float(value) for name, value in row.items()}
