"""A system under measurement, as the plan sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.measure.sample import Sample


@dataclass(frozen=True, slots=True)
class Template:
    """A database that takes long to fill: filled once, then copied for each measurement.

    `fill` gets the DSN of an empty database, and how many jobs a measurement drains.
    """

    name: str
    fill: Callable[[str, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class System:
    """A name, scenarios, and a function that measures one of them.

    `measure(scenario, dsn, jobs)` gets a database of its own that is empty, or a copy of the
    template of the scenario. It raises `WrongResult` when jobs did not end as they should.
    """

    name: str
    scenarios: Sequence[str]
    measure: Callable[[str, str, int], Awaitable[Sample]]
    templates: Mapping[str, Template] = field(default_factory=dict)
