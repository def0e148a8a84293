"""The echo as a system: what gRPC alone reaches."""

from __future__ import annotations

from bench.measure.child_process import Child, child_process
from bench.measure.postgres import Postgres
from bench.measure.sample import Sample
from bench.scenarios.creating import CREATES, call_creates
from bench.scenarios.deployment import Deployment
from bench.systems.system import System


def echo_system(postgres: Postgres) -> System:
    """Creates that are answered at once, and a worker's stream with jobs that nobody created."""

    async def measure(scenario: str, dsn: str, jobs: int) -> Sample:
        arguments = ["-m", "bench.systems.echo_server", str(jobs)]
        async with child_process("echo", arguments, "ready", postgres.log_folder) as echo:
            deployment = Deployment("echo", postgres, dsn, [echo])
            if scenario in CREATES:
                return (await call_creates(deployment, scenario, jobs)).sample
            return await _drain(deployment, echo, scenario, jobs)

    return System("echo", (*CREATES, "drain"), measure)


async def _drain(deployment: Deployment, echo: Child, scenario: str, jobs: int) -> Sample:
    async with deployment.workers(1) as workers, deployment.meter(workers) as meter:
        echo.start_work()
        numbers = await echo.result()
    rate = jobs / numbers["seconds"]
    return Sample(deployment.system, scenario, rate, "jobs/s", jobs, meter.costs(jobs))
