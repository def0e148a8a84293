"""`python -m bench.neighbours`: how long a bystander's CreateJob takes while another caller, with
an address of its own, does one thing after the other. Each is followed by a time without it.

All processes have the same priority, and none a core of its own: server, database, both callers
and whatever else runs share the machine, as they would where each has its own, with fewer cores.
The offender's own work is part of what the bystander waits for, so with two cores the rows say
what the machine takes, and only on a quiet one what the server does."""

from __future__ import annotations

import argparse
import asyncio
import sys
from contextlib import AsyncExitStack

from bench.measure.child_process import Child, ChildFailed, child_process
from bench.measure.jobsvc_processes import servers
from bench.measure.observer import observing
from bench.measure.postgres import fresh_database, running_postgres
from bench.measure.statement import sql
from bench.neighbours.offender import KINDS
from bench.streams import bystander
from bench.streams.collector import LagCollector, collecting

#: The bystander comes over IPv6, so that it is another caller than the offender.
_LISTEN = "[::]:0"


async def _run(kinds: list[str], seconds: float, settle_seconds: float) -> None:
    async with AsyncExitStack() as up:
        postgres = await up.enter_async_context(running_postgres())
        lags = await up.enter_async_context(collecting())
        dsn = await up.enter_async_context(fresh_database(postgres.dsn, "neighbours"))
        environment = {**lags.environment, "JOBSVC_LISTEN": _LISTEN}
        [server] = await up.enter_async_context(
            servers(postgres, dsn, 1, environment, options=["--insecure"])
        )
        port = server.detail.rpartition(":")[2]

        async def start(name: str, *command: str) -> Child:
            process = child_process(name, ["-m", *command], "ready", postgres.log_folder)
            return await up.enter_async_context(process)

        async with observing(dsn) as connection:
            await connection.execute(sql("pause_queue"), bystander.QUEUE, False)
        target = f"127.0.0.1:{port}"
        offending = await start("offender", "bench.neighbours.offender", target, *kinds)
        standing_by = await start(
            "bystander", "bench.streams.bystander", f"[::1]:{port}", f"{seconds}"
        )

        print("| beside | p50 ms | p99 ms | max ms | loop late, max ms | calls of the other |")
        print("|---|---|---|---|---|---|")
        await _measure("nothing", standing_by, lags, "")
        for kind in kinds:
            offending.start_work()
            await offending.result()
            await asyncio.sleep(settle_seconds)
            numbers = await _measured(standing_by, lags)
            offending.start_work()
            counts = ", ".join(f"{n:.0f} {name}" for name, n in (await offending.result()).items())
            _print(kind, numbers, counts)
            await asyncio.sleep(settle_seconds)
            await _measure("nothing", standing_by, lags, "")


async def _measure(beside: str, standing_by: Child, lags: LagCollector, counts: str) -> None:
    _print(beside, await _measured(standing_by, lags), counts)


async def _measured(standing_by: Child, lags: LagCollector) -> dict[str, float]:
    await lags.take()
    standing_by.start_work()
    numbers = await standing_by.result()
    return {**numbers, "late": (await lags.take()).max_ms}


def _print(beside: str, numbers: dict[str, float], counts: str) -> None:
    names = ("create p50", "create p99", "create max", "late")
    cells = " | ".join(f"{numbers[name]:.0f}" for name in names)
    print(f"| {beside} | {cells} | {counts} |", flush=True)


def main() -> int:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, metavar="S")
    parser.add_argument("--settle", type=float, default=3.0, metavar="S")
    parser.add_argument(
        "--only", action="append", metavar="WORD", help="rows with this in their name; repeatable"
    )
    chosen = parser.parse_args()
    words = chosen.only or [""]
    kinds = [kind for kind in KINDS if any(word in kind for word in words)]
    if not kinds:
        parser.error("no row has this in its name")
    try:
        asyncio.run(_run(kinds, chosen.seconds, chosen.settle))
    except ChildFailed as problem:
        print(f"FAILED: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
