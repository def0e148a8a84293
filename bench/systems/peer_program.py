"""A peer's program: it gets a scenario, a DSN and a number of jobs, and prints its result."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

from bench.measure.child_process import Child, child_process, run_to_end
from bench.measure.meter import Meter
from bench.measure.postgres import checkpoint, vacuum
from bench.measure.sample import Sample
from bench.systems.system import System, Template

#: Least number of jobs behind a drain-1m: more than any peer has under way at once.
_MIN_BACKLOG = 20_000


@dataclass(frozen=True, slots=True)
class PeerProgram:
    """The program of another job queue; one process is caller, or worker, or both.

    The program takes the arguments SCENARIO DSN JOBS. Besides the scenarios it knows `prepare`,
    which makes its schema in an empty database, and `fill`, which makes jobs that wait.
    It checks that every job was made, and was done once, and fails otherwise.
    """

    name: str
    version: str
    scenarios: tuple[str, ...]
    program: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    #: A drain takes no more jobs than this.
    max_drained: int | None = None

    @property
    def installed(self) -> bool:
        """Whether the program can be run here."""
        return all(Path(part).exists() for part in self.program if part.startswith("/"))

    def command(self, scenario: str, dsn: str, jobs: int) -> list[str]:
        """The command to run; it speaks the protocol of `bench.measure.protocol`."""
        return [*self.program, scenario, dsn, str(jobs)]

    async def prepare(self, dsn: str) -> None:
        """Makes the schema in an empty database. Raises ChildFailed."""
        await self._run_to_end("prepare", dsn, 0)

    async def fill(self, dsn: str, jobs: int) -> None:
        """Makes the schema and jobs that wait. Raises ChildFailed."""
        await self.prepare(dsn)
        await self._run_to_end("fill", dsn, jobs)
        await vacuum(dsn)
        await checkpoint(dsn)

    async def measure(self, scenario: str, dsn: str, jobs: int) -> Sample:
        """Measures one scenario on a database that is empty, or for drain-1m filled by `fill`.

        Raises:
            ChildFailed: it does not run, or jobs did not end as they should; the text says which.
        """
        if scenario == "drain":
            jobs = min(jobs, self.max_drained or jobs)
            await self.fill(dsn, jobs)
        elif scenario != "drain-1m":
            await self.prepare(dsn)
        part = "worker" if scenario.startswith("drain") else "caller"
        async with self._running(scenario, dsn, jobs) as process:
            async with Meter(dsn, {part: [process.pid]}) as meter:
                process.start_work()
                # A latency's result has a list, unlike others.
                numbers = cast("dict[str, Any]", await process.result())
            # Includes the jobs that ran before and after the measured ones.
            costs = meter.costs(int(numbers.get("in_all", jobs)))
        if "milliseconds" in numbers:
            taken: list[float] = numbers["milliseconds"]
            detail = {"p95": quantiles(taken, n=20)[18]}
            return Sample(self.name, scenario, median(taken), "ms", len(taken), costs, detail)
        rate = numbers["jobs"] / numbers["seconds"]
        return Sample(self.name, scenario, rate, "jobs/s", jobs, costs)

    def system(self, backlog: int) -> System:
        """The peer as a system; `backlog` jobs wait behind those of a drain-1m."""

        async def fill_backlog(dsn: str, jobs: int) -> None:
            await self.fill(dsn, jobs + max(backlog, _MIN_BACKLOG))

        word = "".join(c if c.isalnum() else "_" for c in self.name.lower())
        templates = {"drain-1m": Template(f"backlog_{word}", fill_backlog)}
        return System(self.name, self.scenarios, self.measure, templates)

    @asynccontextmanager
    async def _running(self, scenario: str, dsn: str, jobs: int) -> AsyncIterator[Child]:
        program, *arguments = self.command(scenario, dsn, jobs)
        with tempfile.TemporaryDirectory(prefix="jobsvc-bench-") as folder:
            async with child_process(
                self.name, arguments, "ready", Path(folder), self.environment, program
            ) as process:
                yield process

    async def _run_to_end(self, scenario: str, dsn: str, jobs: int) -> None:
        await run_to_end(
            f"{self.name} {scenario}", self.command(scenario, dsn, jobs), self.environment
        )
