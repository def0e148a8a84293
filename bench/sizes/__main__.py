"""`python -m bench.sizes`: ends jobs of several shapes, vacuums, and prints bytes a job."""

from __future__ import annotations

import argparse
import asyncio

import asyncpg
from rich import box
from rich.table import Table

from bench.measure.observer import observing
from bench.measure.postgres import fresh_database, running_postgres
from bench.measure.statement import sql
from bench.measure.workload import QUEUE
from bench.report.tables import table_text
from bench.sizes.shapes import ERROR, SHAPES, Shape
from jobsvc.domain.job import JobState
from jobsvc.domain.lease import Slot
from jobsvc.domain.lease_end import End
from jobsvc.domain.outcome import Finish, Requeue
from jobsvc.store.migrate import migrate
from jobsvc.store.store import Store, open_store

_BATCH = 500
_LEASE_SECONDS = 600.0
_WEEK_SECONDS = 7 * 86_400.0
_WORKER = "worker-7d9f8b6c5-x2x4z/1/0a1b2c"

#: Tables that keep what has ended.
PARTS = ("job", "result", "attempt")
#: A page of a table that has next to nothing.
_NEXT_TO_NOTHING = 20.0

Sizes = dict[str, tuple[float, float, float]]


async def _end_jobs(store: Store, shape: Shape, jobs: int) -> None:
    for _ in range(0, jobs, _BATCH):
        await store.jobs.creates.submit([shape.make() for _ in range(_BATCH)])
        for _ in range(shape.failures):
            await _end_batch(store, shape, Requeue(0.0, ERROR))
        await _end_batch(store, shape, None)


async def _end_batch(store: Store, shape: Shape, failed: Requeue | None) -> None:
    leased = await store.claims.lease(QUEUE, [Slot(_WORKER, _LEASE_SECONDS)] * _BATCH)
    assert len(leased) == _BATCH, f"{len(leased)} leased"
    await store.lease_ends.ends.submit(
        [
            End(job.id, failed or Finish(JobState.COMPLETED, shape.output()), _WEEK_SECONDS)
            for job in leased
        ]
    )


async def _measure(connection: asyncpg.Connection, dsn: str, shape: Shape, jobs: int) -> Sizes:
    """Rows, bytes and bytes of indexes a job, by table; WAL under `WAL`."""
    async with open_store(dsn, "sizes", 2, statement_seconds=60, max_queues=10) as store:
        await store.queues.declare([QUEUE])
        before = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
        await _end_jobs(store, shape, jobs)
        written = "SELECT pg_current_wal_insert_lsn() - $1::pg_lsn"
        wal = float(await connection.fetchval(written, before))
    await connection.execute("VACUUM ANALYZE")
    rows = await connection.fetch(sql("table_bytes"))
    sizes = {
        row["name"]: (row["rows"] / jobs, row["table_bytes"] / jobs, row["index_bytes"] / jobs)
        for row in rows
    }
    return {name: sizes[name] for name in PARTS if name in sizes} | {"WAL": (0.0, wal / jobs, 0.0)}


async def _run(jobs: int) -> list[tuple[str, Sizes]]:
    found = []
    async with running_postgres() as postgres:
        for number, shape in enumerate(SHAPES):
            async with fresh_database(postgres.dsn, f"sizes_{number}") as dsn:
                await migrate(dsn)
                async with observing(dsn) as connection:
                    found.append((shape.name, await _measure(connection, dsn, shape, jobs)))
    return found


def _table(found: list[tuple[str, Sizes]]) -> Table:
    table = Table(box=box.MARKDOWN)
    table.add_column("ended job")
    for part in PARTS:
        table.add_column(part, justify="right")
        table.add_column("its indexes", justify="right")
    for column in ("rows", "bytes in all", "WAL B"):
        table.add_column(column, justify="right")
    for name, sizes in found:
        wal = sizes["WAL"][1]
        parts = [sizes.get(part, (0.0, 0.0, 0.0)) for part in PARTS]
        cells = [
            f"{size:,.0f}" if size > _NEXT_TO_NOTHING else "" for _, *pair in parts for size in pair
        ]
        rows = sum(count for count, _, _ in parts)
        whole = sum(size + index for _, size, index in parts)
        table.add_row(name, *cells, f"{rows:.0f}", f"{whole:,.0f}", f"{wal:,.0f}")
    return table


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.sizes", description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000, metavar="N")
    jobs = max(1, parser.parse_args().jobs // _BATCH) * _BATCH
    print(table_text(_table(asyncio.run(_run(jobs)))))


if __name__ == "__main__":
    main()
