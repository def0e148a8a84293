"""The echo as a system of the plan: what gRPC alone reaches."""

from __future__ import annotations

from bench.child import Child, child
from bench.creating import CREATES, call_creates
from bench.sample import Sample
from bench.site import Site
from bench.stack import Stack, workers
from bench.system import System


def echo_system(stack: Stack) -> System:
    """Creates that are answered at once, and a worker's stream with jobs made of nothing."""

    async def measure(scenario: str, dsn: str, jobs: int) -> Sample:
        async with child("echo", ["-m", "bench.echo", str(jobs)], "ready", stack.folder) as echo:
            site = Site("echo", stack, dsn, [echo])
            if scenario in CREATES:
                return (await call_creates(site, scenario, jobs)).sample
            return await _stream(site, echo, scenario, jobs)

    return System("echo", (*CREATES, "drain"), measure)


async def _stream(site: Site, echo: Child, scenario: str, jobs: int) -> Sample:
    async with workers(site.stack, site.targets, 1) as working, site.meter(working) as meter:
        echo.go()
        numbers = await echo.answer()
    rate = jobs / numbers["seconds"]
    return Sample(site.system, scenario, rate, "jobs/s", jobs, meter.costs(jobs))
