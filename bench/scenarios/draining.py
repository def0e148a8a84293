"""Drains: workers empty a queue that was filled before they came."""

from __future__ import annotations

from bench.measure.job_tables import check, drained, until_ended, until_left, waiting_at
from bench.measure.jobsvc_processes import WINDOW
from bench.measure.observer import observing
from bench.measure.sample import Sample
from bench.measure.statement import sql
from bench.measure.workload import QUEUE
from bench.scenarios.deployment import Deployment

#: Leases at a time; the default of a worker.
_CYCLES_WINDOW = 8


async def measure_drain(
    deployment: Deployment, scenario: str, jobs: int, count: int, behind: int
) -> Sample:
    """Drains `jobs` with `count` workers, by the database's clock from the first start to the last
    end. Where `behind` more jobs wait, the workers are stopped soon after the first `jobs`.

    Raises:
        WrongResult: jobs did not end once, COMPLETED.
    """
    async with observing(deployment.dsn) as connection:
        # The workers subscribe first, so that only the drain is measured.
        await connection.execute(sql("pause_queue"), QUEUE, True)
        # When this job leaves, the first `jobs` have ended, in whichever worker.
        enough = jobs + min(behind, count * WINDOW)
        last = await waiting_at(connection, QUEUE, enough - 1)
        async with deployment.workers(count) as workers:
            async with deployment.meter(workers) as meter:
                await connection.execute(sql("pause_queue"), QUEUE, False)
                if behind:
                    await until_left(connection, last)
                else:
                    await until_ended(connection)
            in_all = await drained(connection, jobs + behind)
        first = await drained(connection, jobs)
        await check(connection, jobs + behind, jobs)
    costs = meter.costs(in_all.jobs)
    return Sample(deployment.system, scenario, first.per_second, "jobs/s", jobs, costs)


async def measure_cycles(deployment: Deployment, jobs: int) -> Sample:
    """The peak memory of a worker that drains `jobs` which leave cycles.

    Raises:
        WrongResult: jobs did not end once, COMPLETED.
    """
    async with observing(deployment.dsn) as connection:
        await connection.execute(sql("pause_queue"), QUEUE, True)
        async with (
            deployment.workers(1, "cycles", _CYCLES_WINDOW) as workers,
            deployment.meter(workers) as meter,
        ):
            await connection.execute(sql("pause_queue"), QUEUE, False)
            await until_ended(connection)
        await check(connection, jobs, jobs)
    costs = meter.costs(jobs)
    return Sample(deployment.system, "cycles", costs.peak_mb["worker"], "MB", jobs, costs)
