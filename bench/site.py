"""What a scenario is measured on: servers that are up, on a database of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.child import Child
from bench.meter import Meter
from bench.stack import Stack


@dataclass(frozen=True, slots=True)
class Site:
    """Servers of one system; `detail` of each is HOST:PORT."""

    system: str
    stack: Stack
    dsn: str
    servers: Sequence[Child]

    @property
    def targets(self) -> list[str]:
        """Where the servers listen."""
        return [server.detail for server in self.servers]

    def meter(self, workers: Sequence[Child] = (), caller: Child | None = None) -> Meter:
        """A meter for the servers and whoever else takes part."""
        parts = {
            "server": [server.pid for server in self.servers],
            "worker": [worker.pid for worker in workers],
            "caller": [caller.pid] if caller else [],
        }
        return Meter(self.dsn, {part: pids for part, pids in parts.items() if pids})
