"""jobsvc as a system, with one and with two server processes, of this or another checkout."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.measure.checkout import THIS, Checkout
from bench.measure.jobsvc_processes import servers
from bench.measure.postgres import Postgres
from bench.measure.sample import Sample
from bench.measure.scraped import reading_metrics
from bench.scenarios.catalog import SCENARIOS
from bench.scenarios.creating import CREATES, measure_creates
from bench.scenarios.deployment import Deployment
from bench.scenarios.draining import measure_cycles, measure_drain
from bench.scenarios.latency import measure_latency
from bench.scenarios.life_cycle import measure_life_cycle
from bench.systems.system import System, Template

#: The drains with a backlog behind.
_WITH_BACKLOG = ("drain-1m", "drain-1m-2-workers")
#: Where a second server process makes a difference.
_TWO_SERVERS = ("create-32", "batch-create-4", "drain-2-workers", "drain-1m-2-workers")


def jobsvc_systems(
    postgres: Postgres,
    backlog: int,
    checkout: Checkout = THIS,
    label: str = "",
    options: Sequence[str] = (),
    *,
    is_read: bool = False,
) -> list[System]:
    """One server process in every scenario, and two where it makes a difference.

    `backlog` is how many jobs wait behind those that are drained in the `drain-1m` scenarios.
    Servers and workers run the code of `checkout`, servers with `options` of `jobsvc serve`, and
    `label` ends the names of such systems. With `is_read` the metrics of the one server are on,
    and read.
    """

    async def fill_backlog(dsn: str, jobs: int) -> None:
        await checkout.fill(dsn, jobs + backlog)

    template = Template("backlog_beside" if label else "backlog", fill_backlog)
    templates = dict.fromkeys(_WITH_BACKLOG, template)

    def system(name: str, count: int, scenarios: tuple[str, ...]) -> System:
        async def measure(scenario: str, dsn: str, jobs: int) -> Sample:
            async with AsyncExitStack() as up:
                read = is_read and count == 1
                environment = await up.enter_async_context(reading_metrics()) if read else {}
                running = await up.enter_async_context(
                    servers(postgres, dsn, count, environment, checkout, options)
                )
                deployment = Deployment(name, postgres, dsn, running, checkout)
                return await _measure(deployment, scenario, jobs, backlog)

        return System(name, scenarios, measure, templates)

    return [
        system(f"jobsvc{label}", 1, tuple(SCENARIOS)),
        system(f"jobsvc x2{label}", 2, _TWO_SERVERS),
    ]


async def _measure(deployment: Deployment, scenario: str, jobs: int, backlog: int) -> Sample:
    if scenario in CREATES:
        return await measure_creates(deployment, scenario, jobs)
    if scenario in ("latency", "client-latency"):
        return await measure_latency(deployment, scenario, jobs)
    if scenario == "life-cycle":
        return await measure_life_cycle(deployment, jobs)
    behind = backlog if scenario in _WITH_BACKLOG else 0
    if not behind:
        await deployment.checkout.fill(deployment.dsn, jobs)
    if scenario == "cycles":
        return await measure_cycles(deployment, jobs)
    count = 2 if scenario.endswith("-2-workers") else 1
    return await measure_drain(deployment, scenario, jobs, count, behind)
