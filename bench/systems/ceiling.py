"""The ceiling as a system: what the statements alone reach."""

from __future__ import annotations

from bench.measure.child_process import child_process
from bench.measure.job_tables import check
from bench.measure.meter import Meter
from bench.measure.observer import observing
from bench.measure.postgres import Postgres
from bench.measure.sample import Sample
from bench.systems.system import System

_OPERATIONS = {"batch-create": "create", "drain": "drain", "life-cycle": "life-cycle"}


def ceiling_system(postgres: Postgres) -> System:
    """Create, drain and the full life cycle by hand; see `bench.systems.ceiling_process`."""

    async def measure(scenario: str, dsn: str, jobs: int) -> Sample:
        arguments = ["-m", "bench.systems.ceiling_process", dsn, _OPERATIONS[scenario], str(jobs)]
        async with (
            child_process("ceiling", arguments, "ready", postgres.log_folder) as process,
            Meter(dsn, {"caller": [process.pid]}) as meter,
        ):
            process.start_work()
            numbers = await process.result()
        async with observing(dsn) as connection:
            await check(connection, jobs, 0 if scenario == "batch-create" else None)
        rate = jobs / numbers["seconds"]
        return Sample("ceiling", scenario, rate, "jobs/s", jobs, meter.costs(jobs))

    return System("ceiling", tuple(_OPERATIONS), measure)
