"""From samples to the lines of the report: medians and ranges over the rounds. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.measure.sample import Costs, Sample
from bench.scenarios.catalog import SCENARIOS


@dataclass(frozen=True, slots=True)
class Line:
    """One scenario of one system over all rounds; medians, and the range of the value."""

    system: str
    scenario: str
    unit: str
    median: float
    lowest: float
    highest: float
    rounds: int
    jobs: int
    costs: Costs | None
    detail: dict[str, float]


def summarise(samples: Iterable[Sample]) -> list[Line]:
    """A line for each scenario of each system, scenarios in the order of `SCENARIOS`, systems in
    the order in which they came."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    systems: dict[str, int] = {}
    for sample in samples:
        systems.setdefault(sample.system, len(systems))
        groups.setdefault((sample.scenario, sample.system), []).append(sample)
    order = list(SCENARIOS)
    keys = sorted(groups, key=lambda key: (order.index(key[0]), systems[key[1]]))
    return [_line(groups[key]) for key in keys]


def _line(samples: Sequence[Sample]) -> Line:
    first = samples[0]
    values = [sample.value for sample in samples]
    costs = [sample.costs for sample in samples if sample.costs is not None]
    return Line(
        first.system,
        first.scenario,
        first.unit,
        median(values),
        min(values),
        max(values),
        len(samples),
        first.jobs,
        _median_costs(costs) if costs else None,
        _medians([sample.detail for sample in samples]),
    )


def _median_costs(costs: Sequence[Costs]) -> Costs:
    return Costs(
        _medians([c.cpu_us for c in costs]),
        median(c.statements for c in costs),
        median(c.commits for c in costs),
        median(c.wal_bytes for c in costs),
        _medians([c.peak_mb for c in costs]),
    )


def _medians(numbers: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: median(n[name] for n in numbers if name in n) for name in numbers[0]}
