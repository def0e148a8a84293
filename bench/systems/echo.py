"""The echo as a system: what gRPC alone reaches."""

from __future__ import annotations

from bench.measure.child_process import Child, child_process
from bench.measure.postgres import Postgres
from bench.measure.sample import Sample
from bench.scenarios.creating import CREATES, call_creates
from bench.scenarios.deployment import Deployment
from bench.systems.secured import OPEN, Access
from bench.systems.system import System


def echo_system(postgres: Postgres, label: str = "", access: Access = OPEN) -> System:
    """Creates that are answered at once, and a worker's stream with jobs that nobody created. Where
    `access` has TLS, the echo has it, too; tokens are sent, and not looked at. `label` ends its
    name."""
    name = f"echo{label}"

    async def measure(scenario: str, dsn: str, jobs: int) -> Sample:
        arguments = ["-m", "bench.systems.echo_server", str(jobs)]
        process = child_process("echo", arguments, "ready", postgres.log_folder, access.server)
        async with process as echo:
            deployment = Deployment(name, postgres, dsn, [echo], access=access.caller)
            if scenario in CREATES:
                return (await call_creates(deployment, scenario, jobs)).sample
            return await _drain(deployment, echo, scenario, jobs)

    return System(name, (*CREATES, "drain"), measure)


async def _drain(deployment: Deployment, echo: Child, scenario: str, jobs: int) -> Sample:
    async with deployment.workers(1) as workers, deployment.meter(workers) as meter:
        echo.start_work()
        numbers = await echo.result()
    rate = jobs / numbers["seconds"]
    return Sample(deployment.system, scenario, rate, "jobs/s", jobs, meter.costs(jobs))
