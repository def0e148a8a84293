"""Drains: workers empty a queue that was filled before they came."""

from __future__ import annotations

from bench.observer import observing
from bench.sample import Sample
from bench.site import Site
from bench.stack import WINDOW, workers
from bench.statement import sql
from bench.tables import check, drained, until_ended, until_leased


async def measure_drain(site: Site, scenario: str, jobs: int, count: int, behind: int) -> Sample:
    """Drains `jobs` with `count` workers, by the database's clock from the first start to the last
    end. Where `behind` more jobs wait, the workers are stopped soon after the first `jobs`.

    Raises:
        WrongResult: jobs did not end once, COMPLETED.
    """
    async with observing(site.dsn) as connection:
        # The workers subscribe first, so that only the drain is measured.
        await connection.execute(sql("pause_queue"), "noop", True)
        async with workers(site.stack, site.targets, count) as working:
            async with site.meter(working) as meter:
                await connection.execute(sql("pause_queue"), "noop", False)
                if behind:
                    # By then the first `jobs` have ended, whoever held them.
                    enough = jobs + min(behind, count * WINDOW)
                    await until_leased(connection, enough)
                else:
                    await until_ended(connection, jobs)
            in_all = await drained(connection, jobs + behind)
        stretch = await drained(connection, jobs)
        await check(connection, jobs + behind, jobs)
    costs = meter.costs(in_all.jobs)
    return Sample(site.system, scenario, stretch.jobs / stretch.seconds, "jobs/s", jobs, costs)
