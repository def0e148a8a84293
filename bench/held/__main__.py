"""`python -m bench.held`: the full life cycle with and without a transaction that is held open, in
turns on the same servers, as a ratio. Before each turn with it there are dead rows already."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median

import asyncpg

from bench.measure.child_process import ChildFailed, child_process
from bench.measure.job_tables import lived, until_ended, until_left
from bench.measure.jobsvc_processes import servers
from bench.measure.observer import observing
from bench.measure.postgres import fresh_database, running_postgres
from bench.measure.sample import WrongResult
from bench.measure.statement import sql
from bench.measure.workload import QUEUE
from bench.scenarios.deployment import Deployment

_WORKERS = 2
_UNDER_WAY = 2
_CLEAN_SECONDS = 30.0
#: Few enough to be as fast as none.
_CLEAN_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class _Turn:
    """One measurement: jobs a second, CPU a job, dead rows in `waiting` at the end."""

    per_second: float
    cpu_us: float
    dead: int


async def _turn(deployment: Deployment, connection: asyncpg.Connection, jobs: int) -> _Turn:
    arguments = ["-m", "bench.scenarios.caller", "batch", str(jobs), str(_UNDER_WAY)]
    arguments += deployment.targets
    log_folder = deployment.postgres.log_folder
    async with child_process("caller", arguments, "ready", log_folder) as caller:
        await until_ended(connection)
        since = await connection.fetchval("SELECT clock_timestamp()")
        async with deployment.meter() as meter:
            caller.start_work()
            await caller.result()
            # A look whether all have ended walks past every dead row, so there are few.
            await until_left(connection, await connection.fetchval(sql("newest_job")))
            await until_ended(connection)
    ended = await lived(connection, since)
    cpu = meter.costs(jobs).cpu_us
    return _Turn(ended.per_second, sum(cpu.values()), await _dead(connection))


async def _dead(connection: asyncpg.Connection) -> int:
    row = await connection.fetchrow(sql("dead"))
    assert row is not None
    return int(row["dead in waiting"])


async def _leave_dead(connection: asyncpg.Connection, rows: int) -> None:
    """Rows that were there and are gone, before all that is to come, as jobs leave them."""
    await connection.execute(sql("pause_queue"), QUEUE, True)
    for fill, leave in (("fill_waiting", "empty_queue"), ("fill_leases", "empty_lease")):
        await connection.execute(sql(fill), QUEUE, rows)
        await connection.execute(sql(leave), QUEUE)
    await connection.execute(sql("pause_queue"), QUEUE, False)


async def _until_clean(connection: asyncpg.Connection) -> None:
    async with asyncio.timeout(_CLEAN_SECONDS):
        while await _dead(connection) > _CLEAN_ROWS:  # noqa: ASYNC110  # rows send no event
            await asyncio.sleep(0.1)  # The server vacuums by itself.


async def _run(jobs: int, dead: int, window: int, rounds: int) -> None:
    async with AsyncExitStack() as up:
        postgres = await up.enter_async_context(running_postgres())
        dsn = await up.enter_async_context(fresh_database(postgres.dsn, "held"))
        running = await up.enter_async_context(servers(postgres, dsn))
        deployment = Deployment("jobsvc", postgres, dsn, running)
        connection = await up.enter_async_context(observing(dsn))
        await connection.execute(sql("pause_queue"), QUEUE, False)
        await up.enter_async_context(deployment.workers(_WORKERS, window=window))
        await _turn(deployment, connection, jobs)  # to warm up
        print("| dead rows | free, jobs/s | held, jobs/s | rate | CPU |\n|---|---|---|---|---|")
        rates, costs = [], []
        for _ in range(rounds):
            free = await _turn(deployment, connection, jobs)
            async with observing(dsn) as holder, holder.transaction(isolation="repeatable_read"):
                await holder.fetchval("SELECT count(*) FROM pg_class")
                await _leave_dead(connection, dead)
                held = await _turn(deployment, connection, jobs)
            rates.append(held.per_second / free.per_second)
            costs.append(free.cpu_us / held.cpu_us)
            print(
                f"| {held.dead:,} | {free.per_second:,.0f} | {held.per_second:,.0f} |"
                f" {rates[-1]:.2f} | {costs[-1]:.2f} |",
                flush=True,
            )
            await _until_clean(connection)
        print(f"median: rate {median(rates):.2f}, CPU {median(costs):.2f}")


def main() -> int:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.held", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--dead", type=int, default=45_000, help="dead rows at the beginning")
    parser.add_argument("--window", type=int, default=8, help="of each of two workers")
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    try:
        asyncio.run(_run(chosen.jobs, chosen.dead, chosen.window, chosen.rounds))
    except (ChildFailed, WrongResult, TimeoutError) as problem:
        print(f"FAILED: {problem!r}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
