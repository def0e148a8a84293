"""The goals of jobsvc, against other systems of the same run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.report.summary import Line


@dataclass(frozen=True, slots=True)
class Target:
    """A goal: `found` should be `bound` at least, or at most."""

    text: str
    found: float
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the goal is reached."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound


@dataclass(frozen=True, slots=True)
class _Ratio:
    """Medians of two lines: jobsvc in a scenario, and another system in one."""

    text: str
    scenario: str
    other: tuple[str, str]
    bound: float


_RATIOS = (
    _Ratio("drain, 1 worker / pg-boss", "drain", ("pg-boss", "drain"), 1.25),
    _Ratio("drain, 1 worker / graphile-worker", "drain", ("graphile-worker", "drain"), 1.0),
    _Ratio("drain with a backlog behind / without", "drain-1m", ("jobsvc", "drain"), 0.9),
    _Ratio(
        "batch create / graphile-worker", "batch-create", ("graphile-worker", "batch-create"), 1.0
    ),
    _Ratio("client.create(), 1 caller / River", "client-create-1", ("River", "create-1"), 0.8),
    _Ratio("client.create(), 32 callers / River", "client-create-32", ("River", "create-32"), 3.0),
    _Ratio(
        "client.create_many(), 4 under way / River",
        "client-create-many-4",
        ("River", "batch-create-4"),
        1.0,
    ),
    _Ratio("single create, 32 callers / echo", "create-32", ("echo", "create-32"), 0.7),
    _Ratio("full life cycle / ceiling", "life-cycle", ("ceiling", "life-cycle"), 0.5),
)
_COMMITS_PER_JOB = 1 / 8
_LATENCY_MS = 9.2
_CYCLES_MB = 300.0


def targets(lines: Sequence[Line]) -> list[Target]:
    """The goals whose lines were all measured."""
    found = {(line.system, line.scenario): line for line in lines}
    goals = [
        Target(ratio.text, own.median / other.median, ratio.bound, at_least=True)
        for ratio in _RATIOS
        if (own := found.get(("jobsvc", ratio.scenario))) and (other := found.get(ratio.other))
    ]
    shared = found.get(("jobsvc", "create-64"))
    if shared and shared.costs:
        text = "commits per job, 64 concurrent creates"
        goals.append(Target(text, shared.costs.commits, _COMMITS_PER_JOB, at_least=False))
    if cycles := found.get(("jobsvc", "cycles")):
        text = "memory of a worker whose jobs leave cycles, MB"
        goals.append(Target(text, cycles.median, _CYCLES_MB, at_least=False))
    if latency := found.get(("jobsvc", "latency")):
        text = "create to terminal status, idle, ms"
        goals.append(Target(text, latency.median, _LATENCY_MS, at_least=False))
    return goals
