"""The scenarios by name, in the order of the report. Peers use these names too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of measurement. `share` is how many of a run's jobs it takes, so that each lasts a
    few seconds."""

    title: str
    share: float = 1.0


SCENARIOS = {
    "create-1": Scenario("single create, 1 caller", 1 / 32),
    "create-32": Scenario("single create, 32 callers", 1 / 8),
    "create-64": Scenario("single create, 64 callers", 1 / 8),
    "create-256": Scenario("single create, 256 callers", 1 / 8),
    "client-create-1": Scenario("client.create(), 1 caller", 1 / 32),
    "client-create-32": Scenario("client.create(), 32 callers", 1 / 4),
    "client-create-256": Scenario("client.create(), 256 callers", 1 / 4),
    "batch-create": Scenario("batch create, 1 request under way"),
    "batch-create-4": Scenario("batch create, 4 requests under way"),
    "client-create-many-4": Scenario("client.create_many(), 4 calls under way"),
    "drain": Scenario("drain, 1 worker"),
    "drain-2-workers": Scenario("drain, 2 workers"),
    "drain-1m": Scenario("drain, 1 worker, backlog behind"),
    "drain-1m-2-workers": Scenario("drain, 2 workers, backlog behind"),
    "life-cycle": Scenario("full life cycle, 1 worker"),
    "cycles": Scenario("worker's memory, jobs that leave 2 MB in cycles", 1 / 16),
    "latency": Scenario("create to terminal status, idle", 1 / 128),
    "client-latency": Scenario("client.create_and_wait(), idle", 1 / 128),
}


def jobs_for(scenario: str, jobs: int) -> int:
    """How many jobs of a run's `jobs` a scenario takes; two at least."""
    return max(2, round(jobs * SCENARIOS[scenario].share))
