"""The result of one measurement, the same for every system, peers included."""

from __future__ import annotations

from dataclasses import dataclass, field


class WrongResult(Exception):
    """Jobs were lost, ended more than once or not as they should. The text says which."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Average costs of a job, between two readings of a `Meter`.

    `cpu_us` and `peak_mb` go by part: "postgres", "server", "worker", "caller".
    A commit is a transaction that wrote or notified; those that only read need no commit record,
    and count among the statements.
    """

    cpu_us: dict[str, float]
    statements: float
    commits: float
    wal_bytes: float
    peak_mb: dict[str, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one scenario of one system, once.

    `value` is in `unit`, "jobs/s", "ms" or "MB"; `jobs` is how many jobs were measured. `detail`
    has other times, milliseconds by name: percentiles, the steps of a latency.
    """

    system: str
    scenario: str
    value: float
    unit: str
    jobs: int
    costs: Costs | None = None
    detail: dict[str, float] = field(default_factory=dict)
