"""The measured values. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

#: The measured operations in the order of a job's life. Batches are of 100 jobs.
OPERATIONS = (
    "create 100",
    "GetJob",
    "GetQueueStats",
    "GetQueueStats of all",
    "StreamJobStatus",
    "ListJobs",
    "ListJobs FAILED",
    "lease 100",
    "extend 100",
    "find lapsed leases",
    "finish 100",
)


@dataclass(frozen=True, slots=True)
class Point:
    """Each operation, timed many times at one size. `state` has numbers read from the tables."""

    series: str
    size: int
    milliseconds: Mapping[str, Sequence[float]]
    state: Mapping[str, float] = field(default_factory=dict)

    def median(self, operation: str) -> float:
        """The middle time of an operation, in milliseconds."""
        return median(self.milliseconds[operation])

    def quartiles(self, operation: str) -> tuple[float, float]:
        """The bounds of the middle half of the times, in milliseconds."""
        low, _, high = quantiles(self.milliseconds[operation], n=4)
        return low, high


def ratio(points: Sequence[Point], operation: str) -> float:
    """Cost of an operation at the largest size, divided by that at the smallest."""
    first = min(points, key=lambda point: point.size)
    last = max(points, key=lambda point: point.size)
    return last.median(operation) / first.median(operation)


def by_series(points: Sequence[Point]) -> dict[str, list[Point]]:
    """The points of each series, in order."""
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point.series, []).append(point)
    return found
