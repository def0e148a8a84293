"""The order of a run: round by round, scenario by scenario, system after system."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.measure.postgres import Postgres, fresh_database, template_database
from bench.measure.sample import Sample
from bench.scenarios.catalog import SCENARIOS, jobs_for
from bench.systems.system import System


@dataclass(frozen=True, slots=True)
class Measurement:
    """One scenario of one system, to be measured once."""

    round: int
    scenario: str
    system: System

    @property
    def template(self) -> str | None:
        """The name of the database that the measurement gets a copy of."""
        template = self.system.templates.get(self.scenario)
        return f"template_{template.name}" if template else None

    def __str__(self) -> str:
        title = SCENARIOS[self.scenario].title
        return f"round {self.round + 1}: {self.system.name}: {title}"


@dataclass(frozen=True, slots=True)
class Findings:
    """The samples of a run; `wrong` has a line for each measurement that failed."""

    samples: list[Sample] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def measurements(
    systems: Sequence[System], scenarios: Sequence[str], rounds: int
) -> list[Measurement]:
    """All measurements of a run.

    Those of one scenario come next to each other, so that a disturbance meets all alike. Every
    other round goes backwards, so that going first is no advantage.
    """
    return list(_measurements(systems, scenarios, rounds))


def _measurements(
    systems: Sequence[System], scenarios: Sequence[str], rounds: int
) -> Iterator[Measurement]:
    for number in range(rounds):
        for scenario in (s for s in SCENARIOS if s in scenarios):
            taking_part = [system for system in systems if scenario in system.scenarios]
            for system in taking_part if number % 2 == 0 else reversed(taking_part):
                yield Measurement(number, scenario, system)


async def run(postgres: Postgres, planned: Sequence[Measurement], jobs: int) -> Findings:
    """Takes all measurements, each on a database of its own; reports progress on stderr."""
    findings = Findings()
    await _fill_templates(postgres, planned, jobs)
    for number, measurement in enumerate(planned, 1):
        _say(f"[{number}/{len(planned)}] {measurement}", end=" ")
        system, scenario = measurement.system, measurement.scenario
        database = fresh_database(postgres.dsn, f"bench_{number}", measurement.template)
        try:
            async with database as dsn:
                sample = await system.measure(scenario, dsn, jobs_for(scenario, jobs))
        except Exception as error:  # however one ends, the others are not lost
            findings.wrong.append(f"{measurement}: {error!r}")
            _say(f"WRONG: {error!r}")
        else:
            findings.samples.append(sample)
            _say(f"{sample.value:,.{1 if sample.unit == 'ms' else 0}f} {sample.unit}")
    return findings


async def _fill_templates(postgres: Postgres, planned: Sequence[Measurement], jobs: int) -> None:
    for measurement in {m.template: m for m in planned if m.template}.values():
        template = measurement.system.templates[measurement.scenario]
        assert measurement.template is not None
        _say(f"filling {template.name}")
        async with template_database(postgres.dsn, measurement.template) as dsn:
            await template.fill(dsn, jobs_for(measurement.scenario, jobs))


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
