"""The tables of a release from before there was a setting for their schema."""

import asyncpg

from jobsvc.store.migration import read_migrations

LATEST = "0008_replaced_schemas"


async def install(sql: asyncpg.Connection, latest: str = LATEST, schema: str = "public") -> None:
    """Makes them as that release did: by names without a schema, on a path that leads there."""
    async with sql.transaction():
        await sql.execute(f"SET LOCAL search_path = {schema}")
        await sql.execute(
            "CREATE TABLE schema_migration ("
            " name text PRIMARY KEY, apply_time timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        for migration in read_migrations():
            if migration.name <= latest:
                await sql.execute(migration.text)
                await sql.execute("INSERT INTO schema_migration VALUES ($1)", migration.name)
