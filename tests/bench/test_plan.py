"""The order of a run."""

from bench.measure.sample import Sample
from bench.plan import measurements
from bench.scenarios.catalog import SCENARIOS, jobs_for
from bench.systems.system import System
from tests.bench.support.samples import sample


async def _measure(scenario: str, dsn: str, jobs: int) -> Sample:
    return sample(1, scenario=scenario)


def _system(name: str, *scenarios: str) -> System:
    return System(name, scenarios, _measure)


def test_systems_alternate_within_a_scenario_and_go_backwards_every_other_round() -> None:
    systems = [_system("a", "drain", "latency"), _system("b", "drain")]
    order = [
        (m.round, m.scenario, m.system.name) for m in measurements(systems, list(SCENARIOS), 2)
    ]
    assert order == [
        (0, "drain", "a"),
        (0, "drain", "b"),
        (0, "latency", "a"),
        (1, "drain", "b"),
        (1, "drain", "a"),
        (1, "latency", "a"),
    ]


def test_only_what_was_asked_for_is_measured() -> None:
    systems = [_system("a", "drain", "latency")]
    assert [m.scenario for m in measurements(systems, ["latency"], 1)] == ["latency"]


def test_slow_scenarios_take_a_share_of_the_jobs() -> None:
    assert jobs_for("drain", 20_000) == 20_000
    assert jobs_for("create-32", 20_000) == 2_500
    assert jobs_for("latency", 1) == 2
