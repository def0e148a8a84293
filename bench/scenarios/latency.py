"""How long a caller waits on an idle system, split into steps."""

from __future__ import annotations

from bench.measure.child_process import child_process
from bench.measure.job_tables import check
from bench.measure.observer import observing
from bench.measure.sample import Sample
from bench.measure.statement import sql
from bench.scenarios.deployment import Deployment
from bench.scenarios.latency_caller import QUEUE, STEPS

_WINDOW = 8


async def measure_latency(deployment: Deployment, scenario: str, jobs: int) -> Sample:
    """The median over `jobs` that are created one after another, each after the end of the one
    before; `detail` has the 95th percentile and the median of each step.

    Raises:
        WrongResult: jobs did not end once, COMPLETED.
    """
    road = "client" if scenario == "client-latency" else "stubs"
    target = deployment.targets[0]
    arguments = ["-m", "bench.scenarios.latency_caller", road, str(jobs), target]
    async with observing(deployment.dsn) as connection:
        await connection.execute(sql("pause_queue"), QUEUE, False)
        async with (
            deployment.workers(1, "timed", _WINDOW) as workers,
            child_process("caller", arguments, "ready", deployment.postgres.log_folder) as caller,
            deployment.meter(workers, caller) as meter,
        ):
            caller.start_work()
            numbers = await caller.result()
        await check(connection, jobs + int(numbers["warm"]))
    detail = {name: numbers[name] for name in ("p95", *STEPS)}
    costs = meter.costs(jobs)
    return Sample(deployment.system, scenario, numbers["median"], "ms", jobs, costs, detail)
