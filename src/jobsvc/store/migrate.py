"""Brings the schema up to date: applies numbered SQL files once each, one process at a time."""

import logging
from importlib.resources import files

import asyncpg

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.store.database import connection_errors
from jobsvc.store.dsn import read_dsn

log = logging.getLogger(__name__)

#: Advisory lock: replicas that start together migrate one after the other.
_LOCK = 0x6A6F627376630001


class DatabaseUnsuitable(Exception):
    """jobsvc cannot work on this database."""


async def migrate(dsn: str) -> list[str]:
    """Applies the missing migrations, each in a transaction, and returns their names.

    Raises:
        DsnInvalid: `dsn` cannot be used.
        DatabaseUnavailable: no connection, or no right to make tables.
        DatabaseUnsuitable: PostgreSQL is older than 14, or the encoding is not UTF8.
    """
    target = read_dsn(dsn)
    for note in target.notes:
        log.warning("%s", note)
    with connection_errors(target):
        # No named statement and no lock of the session: a pooler lends the session to others.
        connection = await asyncpg.connect(
            target.url, timeout=target.connect_seconds, statement_cache_size=0
        )
        try:
            _check_suitable(connection)
            return await _apply_missing(connection)
        except asyncpg.InsufficientPrivilegeError as error:
            raise DatabaseUnavailable("the database does not let us make our tables") from error
        finally:
            await connection.close(timeout=5)


async def _apply_missing(connection: asyncpg.Connection) -> list[str]:
    async with connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
            log.info("waiting for another process that migrates the database")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration ("
            " name text PRIMARY KEY, apply_time timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        rows = await connection.fetch("SELECT name FROM schema_migration")
        known = {row["name"] for row in rows}
        applied = []
        for migration in sorted(
            (files(__package__) / "migrations").iterdir(), key=lambda f: f.name
        ):
            name = migration.name.removesuffix(".sql")
            if not migration.name.endswith(".sql") or name in known:
                continue
            async with connection.transaction():
                await connection.execute(migration.read_text(encoding="utf-8"))
                await connection.execute("INSERT INTO schema_migration VALUES ($1)", name)
            log.info("applied migration %s", name)
            applied.append(name)
        return applied


def _check_suitable(connection: asyncpg.Connection) -> None:
    version = connection.get_server_version().major
    if version < 14:
        raise DatabaseUnsuitable(f"PostgreSQL {version} is too old: jobsvc needs 14 or newer")
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        raise DatabaseUnsuitable(
            f"the database stores texts as {encoding}, which cannot hold every text: jobsvc needs"
            " a database with ENCODING 'UTF8'"
        )
