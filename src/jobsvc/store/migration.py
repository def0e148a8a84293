"""The migrations of this release, as their files say it."""

import re
from collections.abc import Iterable
from importlib.resources import files
from typing import NamedTuple

_RUNS_FROM = re.compile(r"^-- Code from (\w+) on runs on this\.$", re.MULTILINE)
_MADE = re.compile(r"^CREATE (?:UNLOGGED )?(?:TABLE|VIEW|SEQUENCE) (\w+)", re.MULTILINE)
_DROPPED = re.compile(r"^DROP (?:TABLE|VIEW|SEQUENCE) (\w+)", re.MULTILINE)


class Migration(NamedTuple):
    """A step of the schema, which is released and never changes."""

    name: str
    #: SQL that names no schema.
    text: str

    @property
    def runs_from(self) -> str | None:
        """The oldest migration whose code runs on the schema that this one leaves; None for those
        that do not say it."""
        found = _RUNS_FROM.search(self.text)
        return found and found[1]


def read_migrations() -> list[Migration]:
    """Returns the migrations in their order."""
    found = (file for file in (files(__package__) / "migrations").iterdir())
    return sorted(
        Migration(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in found
        if file.name.endswith(".sql")
    )


def relations_of(migrations: Iterable[Migration]) -> set[str]:
    """Returns the tables, views and sequences that migrations leave behind. Pure."""
    relations: set[str] = set()
    for migration in migrations:
        relations -= set(_DROPPED.findall(migration.text))
        relations |= set(_MADE.findall(migration.text))
    return relations
