"""How long a caller waits on an idle system, split into its steps."""

from __future__ import annotations

from bench.child import child
from bench.follower import STEPS
from bench.observer import observing
from bench.sample import Sample
from bench.site import Site
from bench.stack import workers
from bench.statement import sql
from bench.tables import check

_WINDOW = 8


async def measure_latency(site: Site, jobs: int) -> Sample:
    """The median over `jobs` that are created one after another, each after the end of the one
    before; `detail` has the 95th percentile and the median of each step.

    Raises:
        WrongResult: jobs did not end once, COMPLETED.
    """
    target = site.targets[0]
    arguments = ["-m", "bench.follower", str(jobs), target]
    async with observing(site.dsn) as connection:
        await connection.execute(sql("pause_queue"), "timed", False)
        async with (
            workers(site.stack, [target], 1, "timed", _WINDOW) as working,
            child("caller", arguments, "ready", site.stack.folder) as caller,
            site.meter(working, caller) as meter,
        ):
            caller.go()
            numbers = await caller.answer()
        await check(connection, jobs + int(numbers["warm"]))
    detail = {name: numbers[name] for name in ("p95", *STEPS)}
    costs = meter.costs(jobs)
    return Sample(site.system, "latency", numbers["median"], "ms", jobs, costs, detail)
