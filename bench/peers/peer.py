"""A peer: a program that is run with a scenario, a DSN and a number of jobs, and answers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

import asyncpg

from bench.child import Child, ChildFailed, child
from bench.meter import Meter
from bench.sample import Sample
from bench.system import System, Template

#: Least number of jobs behind a drain-1m: more than any peer has under way at once.
_LEAST_BACKLOG = 20_000
_FILL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Peer:
    """Another job queue. `command` runs its program; one process is caller, or worker, or both.

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
    drain_at_most: int | None = None

    @property
    def installed(self) -> bool:
        """Whether its program can be run here."""
        return all(Path(part).exists() for part in self.program if part.startswith("/"))

    def command(self, scenario: str, dsn: str, jobs: int) -> list[str]:
        """What to run; it talks as `bench.turn` does."""
        return [*self.program, scenario, dsn, str(jobs)]

    async def prepare(self, dsn: str) -> None:
        """Makes its schema in an empty database. Raises ChildFailed."""
        await self._finish("prepare", dsn, 0)

    async def fill(self, dsn: str, jobs: int) -> None:
        """Makes its schema and jobs that wait. Raises ChildFailed."""
        await self.prepare(dsn)
        await self._finish("fill", dsn, jobs)
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute("VACUUM (ANALYZE)")  # as it would have been in time
            await connection.execute("CHECKPOINT")
        finally:
            await connection.close()

    async def measure(self, scenario: str, dsn: str, jobs: int) -> Sample:
        """Measures one scenario on a database that is empty, or for drain-1m filled by `fill`.

        Raises:
            ChildFailed: it does not run, or jobs did not end as they should; the text says which.
        """
        if scenario == "drain":
            jobs = min(jobs, self.drain_at_most or jobs)
            await self.fill(dsn, jobs)
        elif scenario != "drain-1m":
            await self.prepare(dsn)
        part = "worker" if scenario.startswith("drain") else "caller"
        async with self._running(scenario, dsn, jobs) as process:
            async with Meter(dsn, {part: [process.pid]}) as meter:
                process.go()
                # A latency's answer has a list, unlike other programs'.
                numbers = cast("dict[str, Any]", await process.answer())
            # Also those that ran before and after the measured ones.
            costs = meter.costs(int(numbers.get("in_all", jobs)))
        if "milliseconds" in numbers:
            taken: list[float] = numbers["milliseconds"]
            detail = {"p95": quantiles(taken, n=20)[18]}
            return Sample(self.name, scenario, median(taken), "ms", len(taken), costs, detail)
        rate = numbers["jobs"] / numbers["seconds"]
        return Sample(self.name, scenario, rate, "jobs/s", jobs, costs)

    def system(self, backlog: int) -> System:
        """It as a system of the plan; `backlog` jobs wait behind those of a drain-1m."""

        async def fill_backlog(dsn: str, jobs: int) -> None:
            await self.fill(dsn, jobs + max(backlog, _LEAST_BACKLOG))

        word = "".join(c if c.isalnum() else "_" for c in self.name.lower())
        templates = {"drain-1m": Template(f"backlog_{word}", fill_backlog)}
        return System(self.name, self.scenarios, self.measure, templates)

    @asynccontextmanager
    async def _running(self, scenario: str, dsn: str, jobs: int) -> AsyncIterator[Child]:
        program, *arguments = self.command(scenario, dsn, jobs)
        with tempfile.TemporaryDirectory(prefix="jobsvc-bench-") as folder:
            async with child(
                self.name, arguments, "ready", Path(folder), self.environment, program
            ) as process:
                yield process

    async def _finish(self, scenario: str, dsn: str, jobs: int) -> None:
        """Runs it to its end."""
        process = await asyncio.create_subprocess_exec(
            *self.command(scenario, dsn, jobs),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_FILL_SECONDS):
                _, errors = await process.communicate()
        except BaseException:
            process.kill()
            await process.wait()
            raise
        if process.returncode:
            text = errors.decode(errors="replace")[-2000:]
            raise ChildFailed(f"{self.name} {scenario} failed: {text}")
