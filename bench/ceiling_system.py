"""The ceiling as a system of the plan: what the statements alone reach."""

from __future__ import annotations

from bench.child import child
from bench.meter import Meter
from bench.observer import observing
from bench.sample import Sample
from bench.stack import Stack
from bench.system import System
from bench.tables import check

_WHAT = {"batch-create": "create", "drain": "drain", "life-cycle": "life-cycle"}


def ceiling_system(stack: Stack) -> System:
    """Create, drain and the full life cycle by hand; see `bench.ceiling`."""

    async def measure(scenario: str, dsn: str, jobs: int) -> Sample:
        arguments = ["-m", "bench.ceiling", dsn, _WHAT[scenario], str(jobs)]
        async with (
            child("ceiling", arguments, "ready", stack.folder) as process,
            Meter(dsn, {"caller": [process.pid]}) as meter,
        ):
            process.go()
            numbers = await process.answer()
        async with observing(dsn) as connection:
            await check(connection, jobs, 0 if scenario == "batch-create" else None)
        rate = jobs / numbers["seconds"]
        return Sample("ceiling", scenario, rate, "jobs/s", jobs, meter.costs(jobs))

    return System("ceiling", tuple(_WHAT), measure)
