"""Creates: a caller process against servers that are up."""

from __future__ import annotations

from dataclasses import dataclass

from bench.child import child
from bench.observer import observing
from bench.sample import Sample, WrongResult
from bench.site import Site
from bench.statement import sql
from bench.tables import check

#: By scenario: what the caller does, and with how many calls under way.
CREATES = {
    "create-1": ("create", 1),
    "create-32": ("create", 32),
    "create-64": ("create", 64),
    "create-256": ("create", 256),
    "batch-create": ("batch", 1),
    "batch-create-4": ("batch", 4),
}


@dataclass(frozen=True, slots=True)
class Created:
    """How a caller fared. `total` jobs it created, those before the measurement included, and was
    answered with `distinct` ids."""

    sample: Sample
    total: int
    distinct: int


async def call_creates(site: Site, scenario: str, jobs: int) -> Created:
    """Creates `jobs` the way that the scenario says."""
    what, under_way = CREATES[scenario]
    arguments = ["-m", "bench.caller", what, str(jobs), str(under_way), *site.targets]
    async with (
        child("caller", arguments, "ready", site.stack.folder) as caller,
        site.meter(caller=caller) as meter,
    ):
        caller.go()
        numbers = await caller.answer()
    detail = {name: numbers[name] for name in ("call p50", "call p95")}
    rate = jobs / numbers["seconds"]
    return Created(
        Sample(site.system, scenario, rate, "jobs/s", jobs, meter.costs(jobs), detail),
        int(numbers["jobs"] + numbers["warm"]),
        int(numbers["distinct"]),
    )


async def measure_creates(site: Site, scenario: str, jobs: int) -> Sample:
    """Creates `jobs`, and checks that each answer has a job of its own in the tables.

    Raises:
        WrongResult: it has not.
    """
    async with observing(site.dsn) as connection:
        await connection.execute(sql("pause_queue"), "noop", False)
        created = await call_creates(site, scenario, jobs)
        if created.distinct != created.total:
            raise WrongResult(f"{created.total:,} creates gave {created.distinct:,} ids")
        await check(connection, created.total, 0)
    return created.sample
