"""What a schema of a database has of ours."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from jobsvc.store.statement import texts

#: The tables of every release; other programs have some of these names, but not all.
_TABLES = frozenset({"queue", "job", "waiting", "lease", "result", "attempt", "held_key"})
_MIGRATION_COLUMNS = frozenset({"name", "apply_time"})


@dataclass(frozen=True, slots=True)
class Installation:
    """What a schema has of ours."""

    has_schema: bool = False
    #: Whether it has our table of migrations, with whatever in it.
    has_migration_table: bool = False
    #: The migrations that were applied to our tables; empty if they are not there.
    applied: frozenset[str] = frozenset()

    def missing(self, names: Sequence[str]) -> list[str]:
        """Returns those of these migrations that were not applied."""
        return [name for name in names if name not in self.applied]


async def read_installation(connection: asyncpg.Connection, schema: str) -> Installation:
    """Reads what a schema has of ours. Tables of somebody else are none of ours, whatever their
    names."""
    sql = texts(schema)
    rows = await connection.fetch(sql["describe_schema"], schema, sorted(_TABLES))
    if not rows:
        return Installation()
    (row,) = rows
    if not set(row["columns"]) >= _MIGRATION_COLUMNS:
        return Installation(has_schema=True)
    applied = {r["name"] for r in await connection.fetch(sql["applied_migrations"])}
    is_ours = set(row["relations"]) >= _TABLES
    return Installation(
        has_schema=True,
        has_migration_table=True,
        applied=frozenset(applied if is_ours else ()),
    )
