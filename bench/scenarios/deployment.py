"""The servers that a scenario is measured on, with a database of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from bench.measure.checkout import THIS, Checkout
from bench.measure.child_process import Child
from bench.measure.jobsvc_processes import WINDOW, workers
from bench.measure.meter import Meter
from bench.measure.postgres import Postgres


@dataclass(frozen=True, slots=True)
class Deployment:
    """Servers of one system on one database; `detail` of each server is HOST:PORT."""

    system: str
    postgres: Postgres
    dsn: str
    servers: Sequence[Child]
    #: The code of servers and workers. Callers always run the code of this checkout.
    checkout: Checkout = THIS
    #: What workers and callers need to be let in.
    access: Mapping[str, str] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Where the servers listen."""
        return [server.detail for server in self.servers]

    def workers(
        self, count: int, processor: str = "noop", window: int = WINDOW
    ) -> AbstractAsyncContextManager[list[Child]]:
        """Worker processes, spread over the servers, for the length of the block."""
        return workers(
            self.postgres, self.targets, count, processor, window, self.checkout, self.access
        )

    def meter(self, workers: Sequence[Child] = (), caller: Child | None = None) -> Meter:
        """A meter for the servers and the other processes that take part."""
        parts = {
            "server": [server.pid for server in self.servers],
            "worker": [worker.pid for worker in workers],
            "caller": [caller.pid] if caller else [],
        }
        return Meter(self.dsn, {part: pids for part, pids in parts.items() if pids})
