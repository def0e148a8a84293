"""jobsvc as a system of the plan, with one and with two server processes."""

from __future__ import annotations

from bench.ceiling import fill
from bench.creating import CREATES, measure_creates
from bench.draining import measure_drain
from bench.latency import measure_latency
from bench.life_cycle import measure_life_cycle
from bench.sample import Sample
from bench.scenario import SCENARIOS
from bench.site import Site
from bench.stack import Stack, servers
from bench.system import System, Template

#: The drains with a backlog behind.
_DEEP = ("drain-1m", "drain-1m-2-workers")
#: Where a second server process makes a difference.
_TWO_SERVERS = ("create-32", "batch-create-4", "drain-2-workers", "drain-1m-2-workers")


def jobsvc_systems(stack: Stack, backlog: int) -> list[System]:
    """One server process in every scenario, and two where it makes a difference.

    `backlog` is how many jobs wait behind those that are drained in the `drain-1m` scenarios.
    """

    async def fill_backlog(dsn: str, jobs: int) -> None:
        await fill(dsn, jobs + backlog)

    templates = dict.fromkeys(_DEEP, Template("backlog", fill_backlog))

    def system(name: str, count: int, scenarios: tuple[str, ...]) -> System:
        async def measure(scenario: str, dsn: str, jobs: int) -> Sample:
            async with servers(stack, dsn, count) as running:
                site = Site(name, stack, dsn, running)
                return await _measure(site, scenario, jobs, backlog)

        return System(name, scenarios, measure, templates)

    return [system("jobsvc", 1, tuple(SCENARIOS)), system("jobsvc x2", 2, _TWO_SERVERS)]


async def _measure(site: Site, scenario: str, jobs: int, backlog: int) -> Sample:
    if scenario in CREATES:
        return await measure_creates(site, scenario, jobs)
    if scenario == "latency":
        return await measure_latency(site, jobs)
    if scenario == "life-cycle":
        return await measure_life_cycle(site, jobs)
    behind = backlog if scenario in _DEEP else 0
    if not behind:
        await fill(site.dsn, jobs)
    count = 2 if scenario.endswith("-2-workers") else 1
    return await measure_drain(site, scenario, jobs, count, behind)
