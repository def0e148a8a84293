"""Samples to work with."""

from bench.measure.sample import Costs, Sample


def sample(
    value: float,
    system: str = "jobsvc",
    scenario: str = "drain",
    unit: str = "jobs/s",
    commits: float = 0.01,
    detail: dict[str, float] | None = None,
) -> Sample:
    """A sample whose costs grow with nothing but `commits`."""
    costs = Costs({"postgres": 30.0, "server": 60.0}, 0.02, commits, 900.0, {"server": 64.0})
    return Sample(system, scenario, value, unit, 1000, costs, detail or {})
