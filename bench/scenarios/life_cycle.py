"""The full life cycle: a caller creates in batches while a worker drains."""

from __future__ import annotations

from bench.measure.child_process import child_process
from bench.measure.job_tables import check, lived, until_ended
from bench.measure.observer import observing
from bench.measure.sample import Sample
from bench.measure.statement import sql
from bench.measure.workload import QUEUE
from bench.scenarios.deployment import Deployment

#: Requests of the caller under way.
_UNDER_WAY = 2


async def measure_life_cycle(deployment: Deployment, jobs: int) -> Sample:
    """Speed by the database's clock, from the first creation to the last end.

    Raises:
        WrongResult: jobs did not end once, COMPLETED.
    """
    arguments = ["-m", "bench.scenarios.caller", "batch", str(jobs), str(_UNDER_WAY)]
    arguments += deployment.targets
    log_folder = deployment.postgres.log_folder
    async with observing(deployment.dsn) as connection, deployment.workers(1) as workers:
        await connection.execute(sql("pause_queue"), QUEUE, False)
        async with child_process("caller", arguments, "ready", log_folder) as caller:
            await until_ended(connection)  # the jobs that the caller warmed up with
            since = await connection.fetchval("SELECT clock_timestamp()")
            async with deployment.meter(workers, caller) as meter:
                caller.start_work()
                numbers = await caller.result()
                await until_ended(connection)
        await check(connection, jobs + int(numbers["warm"]))
        ended = await lived(connection, since)
    costs = meter.costs(jobs)
    return Sample(deployment.system, "life-cycle", ended.per_second, "jobs/s", jobs, costs)
