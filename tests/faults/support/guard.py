"""What a guard is: a promise, what takes it out of the source, and what notices."""

from dataclasses import dataclass

from tests.faults.support.schedule import Kind


@dataclass(frozen=True)
class Patch:
    """A text that stands once in a file of the source, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Guard:
    """What keeps a promise: patches that take it out, and the tests that fail then. `breaks` are
    the invariants that break without it under faults of these `kinds`; none, if only tests see it.
    """

    promise: str
    patches: tuple[Patch, ...]
    tests: tuple[str, ...]
    kinds: frozenset[Kind] = frozenset()
    breaks: frozenset[str] = frozenset()
    #: A statement for the database, once the tables are there.
    sql: str = ""
