"""Ratios between this checkout and another one, measured alternately in one run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.measure.sample import Costs, Sample
from bench.scenarios.catalog import SCENARIOS


@dataclass(frozen=True, slots=True)
class Comparison:
    """One scenario of one system: values of this checkout divided by those of the other.

    Each ratio is of the two measurements of one round, which are neighbours, so that a machine
    that slows down meanwhile slows down both; `ratio` and `cpu` are medians over the rounds.
    """

    scenario: str
    system: str
    unit: str
    ratio: float
    lowest: float
    highest: float
    #: By part: "postgres", "server", "worker", "caller".
    cpu: dict[str, float]


def compare(samples: Sequence[Sample], label: str) -> list[Comparison]:
    """A comparison for each scenario of each system measured as `name` and as `name` + `label`."""
    if not label:
        return []
    by_key: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        by_key.setdefault((sample.scenario, sample.system), []).append(sample)
    order = list(SCENARIOS)
    keys = sorted(by_key, key=lambda key: order.index(key[0]))
    return [
        _compare(by_key[scenario, system], by_key[scenario, system + label])
        for scenario, system in keys
        if (scenario, system + label) in by_key
    ]


def _compare(own: Sequence[Sample], other: Sequence[Sample]) -> Comparison:
    rounds = list(zip(own, other, strict=False))  # a measurement that failed leaves no sample
    ratios = [a.value / b.value for a, b in rounds]
    costs = [(a.costs, b.costs) for a, b in rounds if a.costs and b.costs]
    first = own[0]
    return Comparison(
        first.scenario,
        first.system,
        first.unit,
        median(ratios),
        min(ratios),
        max(ratios),
        _cpu(costs),
    )


def _cpu(costs: Sequence[tuple[Costs, Costs]]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for own, other in costs:
        for part, microseconds in own.cpu_us.items():
            if other.cpu_us.get(part):  # 0 where a tiny run took less than the kernel counts
                found.setdefault(part, []).append(microseconds / other.cpu_us[part])
    return {part: median(ratios) for part, ratios in found.items()}
