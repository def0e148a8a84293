"""The order of a run: round by round, scenario by scenario, system after system."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.sample import Sample
from bench.scenario import SCENARIOS, jobs_for
from bench.stack import Stack, fresh_database, make_template
from bench.system import System


@dataclass(frozen=True, slots=True)
class Turn:
    """One measurement to take."""

    round: int
    scenario: str
    system: System

    @property
    def template(self) -> str | None:
        """The name of the database that it gets a copy of."""
        template = self.system.templates.get(self.scenario)
        return f"template_{template.name}" if template else None

    def __str__(self) -> str:
        title = SCENARIOS[self.scenario].title
        return f"round {self.round + 1}: {self.system.name}: {title}"


@dataclass(frozen=True, slots=True)
class Findings:
    """What a run has brought; `wrong` has a line for each measurement that failed."""

    samples: list[Sample] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def turns(systems: Sequence[System], scenarios: Sequence[str], rounds: int) -> list[Turn]:
    """All measurements: those of one scenario next to each other, so that what disturbs them
    disturbs all alike; in every other round backwards, so that going first is no advantage."""
    return list(_turns(systems, scenarios, rounds))


def _turns(systems: Sequence[System], scenarios: Sequence[str], rounds: int) -> Iterator[Turn]:
    for number in range(rounds):
        for scenario in (s for s in SCENARIOS if s in scenarios):
            taking_part = [system for system in systems if scenario in system.scenarios]
            for system in taking_part if number % 2 == 0 else reversed(taking_part):
                yield Turn(number, scenario, system)


async def run(stack: Stack, todo: Sequence[Turn], jobs: int) -> Findings:
    """Takes all measurements, each on a database of its own; says on stderr what it is doing."""
    findings = Findings()
    await _fill_templates(stack, todo, jobs)
    for number, turn in enumerate(todo, 1):
        _say(f"[{number}/{len(todo)}] {turn}", end=" ")
        count = jobs_for(turn.scenario, jobs)
        try:
            async with fresh_database(stack.dsn, f"bench_{number}", turn.template) as dsn:
                sample = await turn.system.measure(turn.scenario, dsn, count)
        except Exception as error:  # however one ends, the others are not lost
            findings.wrong.append(f"{turn}: {error!r}")
            _say(f"WRONG: {error!r}")
        else:
            findings.samples.append(sample)
            _say(f"{sample.value:,.{1 if sample.unit == 'ms' else 0}f} {sample.unit}")
    return findings


async def _fill_templates(stack: Stack, todo: Sequence[Turn], jobs: int) -> None:
    for turn in {turn.template: turn for turn in todo if turn.template}.values():
        template = turn.system.templates[turn.scenario]
        assert turn.template is not None
        _say(f"filling {template.name}")
        async with make_template(stack.dsn, turn.template) as dsn:
            await template.fill(dsn, jobs_for(turn.scenario, jobs))


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, file=sys.stderr, flush=True)
