"""Creates: a caller process against running servers."""

from __future__ import annotations

from dataclasses import dataclass

from bench.measure.child_process import child_process
from bench.measure.job_tables import check
from bench.measure.observer import observing
from bench.measure.sample import Sample, WrongResult
from bench.measure.statement import sql
from bench.measure.workload import QUEUE
from bench.scenarios.deployment import Deployment

#: By scenario: the caller's operation, and how many calls are under way.
CREATES = {
    "create-1": ("create", 1),
    "create-32": ("create", 32),
    "create-64": ("create", 64),
    "create-256": ("create", 256),
    "client-create-1": ("client", 1),
    "client-create-32": ("client", 32),
    "client-create-256": ("client", 256),
    "client-create-many-4": ("client-many", 4),
    "batch-create": ("batch", 1),
    "batch-create-4": ("batch", 4),
}


@dataclass(frozen=True, slots=True)
class Created:
    """A caller's result: it created `total` jobs, those before the measurement included, and got
    `distinct` ids."""

    sample: Sample
    total: int
    distinct: int


async def call_creates(deployment: Deployment, scenario: str, jobs: int) -> Created:
    """Creates `jobs` the way that the scenario says."""
    operation, under_way = CREATES[scenario]
    arguments = ["-m", "bench.scenarios.caller", operation, str(jobs), str(under_way)]
    arguments += deployment.targets
    async with (
        child_process("caller", arguments, "ready", deployment.postgres.log_folder) as caller,
        deployment.meter(caller=caller) as meter,
    ):
        caller.start_work()
        numbers = await caller.result()
    detail = {name: numbers[name] for name in ("call p50", "call p95")}
    rate = jobs / numbers["seconds"]
    return Created(
        Sample(deployment.system, scenario, rate, "jobs/s", jobs, meter.costs(jobs), detail),
        int(numbers["jobs"] + numbers["warm"]),
        int(numbers["distinct"]),
    )


async def measure_creates(deployment: Deployment, scenario: str, jobs: int) -> Sample:
    """Creates `jobs`, and checks that each call's id has a job of its own in the tables.

    Raises:
        WrongResult: it has not.
    """
    async with observing(deployment.dsn) as connection:
        await connection.execute(sql("pause_queue"), QUEUE, False)
        created = await call_creates(deployment, scenario, jobs)
        if created.distinct != created.total:
            raise WrongResult(f"{created.total:,} creates gave {created.distinct:,} ids")
        await check(connection, created.total, 0)
    return created.sample
