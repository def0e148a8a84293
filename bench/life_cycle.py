"""The full life cycle: a caller creates in batches while a worker drains."""

from __future__ import annotations

from bench.child import child
from bench.observer import observing
from bench.sample import Sample
from bench.site import Site
from bench.stack import workers
from bench.statement import sql
from bench.tables import check, lived, until_ended

#: Requests of the caller under way.
_UNDER_WAY = 2


async def measure_life_cycle(site: Site, jobs: int) -> Sample:
    """By the database's clock, from the first creation to the last end.

    Raises:
        WrongResult: jobs did not end once, COMPLETED.
    """
    arguments = ["-m", "bench.caller", "batch", str(jobs), str(_UNDER_WAY), *site.targets]
    async with observing(site.dsn) as connection, workers(site.stack, site.targets, 1) as working:
        await connection.execute(sql("pause_queue"), "noop", False)
        async with child("caller", arguments, "ready", site.stack.folder) as caller:
            await until_ended(connection, 1)  # those that the caller warmed up with
            since = await connection.fetchval("SELECT clock_timestamp()")
            async with site.meter(working, caller) as meter:
                caller.go()
                numbers = await caller.answer()
                await until_ended(connection, jobs + int(numbers["warm"]))
        await check(connection, jobs + int(numbers["warm"]))
        stretch = await lived(connection, since)
    rate = stretch.jobs / stretch.seconds
    return Sample(site.system, "life-cycle", rate, "jobs/s", jobs, meter.costs(jobs))
