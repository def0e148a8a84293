"""What a schema of a database has of ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from jobsvc.store.migration import Migration
from jobsvc.store.statement import texts

#: Where releases before there was a setting made their tables.
FORMER_SCHEMA = "public"
#: The tables of every release; other programs have some of these names, but not all.
_TABLES = frozenset({"queue", "job", "waiting", "lease", "result", "attempt", "held_key"})
_MIGRATION_COLUMNS = frozenset({"name", "apply_time"})


@dataclass(frozen=True, slots=True)
class Installation:
    """What a schema has of ours."""

    has_schema: bool = False
    #: Whether this role may read what was applied.
    is_readable: bool = True
    #: Whether it has our table of migrations, with whatever in it.
    has_migration_table: bool = False
    #: The migrations that were applied to our tables, each with the oldest one whose code runs on
    #: it; empty if the tables are not there.
    applied: Mapping[str, str | None] = field(default_factory=dict)

    def missing(self, known: Sequence[Migration]) -> list[Migration]:
        """Returns those of a release's migrations that were not applied."""
        return [migration for migration in known if migration.name not in self.applied]

    def newer(self, known: Sequence[Migration]) -> list[str]:
        """Returns the migrations that were applied and are not of this release."""
        return sorted(self.applied.keys() - {migration.name for migration in known})

    def runs(self, known: Sequence[Migration]) -> bool:
        """Whether code with these migrations runs on it, as far as those that are newer say so."""
        latest = max(migration.name for migration in known)
        oldest = [self.applied[name] for name in self.newer(known)]
        return all(name is not None and name <= latest for name in oldest)


async def read_installation(connection: asyncpg.Connection, schema: str) -> Installation:
    """Reads what a schema has of ours. Tables of somebody else are none of ours, whatever their
    names."""
    sql = texts(schema)
    rows = await connection.fetch(sql["describe_schema"], schema, sorted(_TABLES))
    if not rows:
        return Installation()
    (row,) = rows
    is_readable = row["readable"]
    if not is_readable or not set(row["columns"]) >= _MIGRATION_COLUMNS:
        return Installation(has_schema=True, is_readable=is_readable)
    applied = {r["name"]: r["runs_from"] for r in await connection.fetch(sql["applied_migrations"])}
    is_ours = set(row["relations"]) >= _TABLES
    return Installation(
        has_schema=True, has_migration_table=True, applied=applied if is_ours else {}
    )
