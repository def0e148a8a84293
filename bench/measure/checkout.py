"""A checkout of this project: the code that measured servers and workers run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measure.child_process import run_to_end

#: Checkouts from before `bench` had folders have `fill` beside the ceiling.
_FILL = """
import asyncio, sys
try:
    from bench.measure.fill import fill
except ModuleNotFoundError:
    from bench.ceiling import fill
asyncio.run(fill(sys.argv[1], int(sys.argv[2])))
"""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The folder of a checkout; this one's is `THIS`."""

    folder: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """Makes a Python process import this checkout's packages."""
        return {"PYTHONPATH": str(self.folder / "src")}

    @property
    def worker_module(self) -> str:
        """The module that runs a worker: `workers` in old checkouts."""
        worker = self.folder / "src" / "jobsvc" / "worker"
        return "jobsvc.worker" if worker.is_dir() else "workers"

    def processor(self, name: str) -> Path:
        """The file of a processor of `bench/measure/processors`: its own, if it has it."""
        pattern = f"bench/**/{name}.py"
        return next(self.folder.glob(pattern), None) or next(THIS.folder.glob(pattern))

    async def fill(self, dsn: str, jobs: int) -> None:
        """Makes the schema and puts jobs into the queue, by this checkout's own statements.

        Raises:
            ChildFailed: it cannot.
        """
        command = [sys.executable, "-c", _FILL, dsn, str(jobs)]
        await run_to_end("fill", command, self.environment, self.folder)


THIS = Checkout(Path(__file__).parents[2])
