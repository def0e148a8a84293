"""The PostgreSQL of a run, and the databases of its measurements."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.measure.observer import database_dsn
from jobsvc.embedded import embedded_postgres


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running PostgreSQL, and a folder for the logs of the measured processes."""

    dsn: str
    log_folder: Path


@asynccontextmanager
async def running_postgres(settings: Mapping[str, str] | None = None) -> AsyncIterator[Postgres]:
    """A fresh embedded PostgreSQL with the settings of the service, durability on.

    It differs in that it counts statements, for every system, and in `settings`. Its data lie
    below TMPDIR.
    """
    with tempfile.TemporaryDirectory(prefix="jobsvc-bench-") as name:
        folder = Path(name)
        own = {"shared_preload_libraries": "pg_stat_statements", **(settings or {})}
        async with embedded_postgres(folder / "data", own) as postgres:
            yield Postgres(postgres.dsn, folder)


@asynccontextmanager
async def fresh_database(dsn: str, name: str, template: str | None = None) -> AsyncIterator[str]:
    """A database for the length of the block, empty or a copy of `template`; its DSN.

    A checkpoint comes first, so that none that is owed to an earlier measurement falls into it.
    """
    async with _outside(dsn) as connection:
        await _create(connection, name, template)
        if template is None:
            await _execute(database_dsn(dsn, name), "CREATE SCHEMA jobsvc")
        await connection.execute("CHECKPOINT")
        try:
            yield database_dsn(dsn, name)
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def template_database(dsn: str, name: str) -> AsyncIterator[str]:
    """A database that stays: the block fills it, then it is vacuumed, as it would be in time."""
    async with _outside(dsn) as connection:
        await _create(connection, name)
        await _execute(database_dsn(dsn, name), "CREATE SCHEMA jobsvc")
    yield (filled := database_dsn(dsn, name))
    await vacuum(filled)


async def vacuum(dsn: str) -> None:
    """Vacuums and analyzes all tables of a database, as autovacuum would in time."""
    await _execute(dsn, "VACUUM (ANALYZE)")


async def checkpoint(dsn: str) -> None:
    """Writes out all that is dirty."""
    await _execute(dsn, "CHECKPOINT")


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _create(connection: asyncpg.Connection, name: str, template: str | None = None) -> None:
    copied = f" TEMPLATE {template} STRATEGY file_copy" if template else ""
    await connection.execute(f"CREATE DATABASE {name}{copied}")
    # Checkouts whose statements name no schema find and make their tables in this one.
    await connection.execute(f"ALTER DATABASE {name} SET search_path = jobsvc, public")


@asynccontextmanager
async def _outside(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn, database="postgres")
    try:
        yield connection
    finally:
        await connection.close()
