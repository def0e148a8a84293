"""Brings the schema up to date: applies numbered SQL files once each, one process at a time, in one
transaction. Everything that a session would keep ends with it: a pooler may lend the session."""

import hashlib
import logging
from importlib.resources import files

import asyncpg

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.settings import SCHEMA
from jobsvc.store.database import connection_errors
from jobsvc.store.dsn import read_dsn
from jobsvc.store.installation import read_installation
from jobsvc.store.statement import texts

log = logging.getLogger(__name__)


class DatabaseUnsuitable(Exception):
    """jobsvc cannot work on this database."""


async def migrate(dsn: str, schema: str = SCHEMA) -> list[str]:
    """Applies the missing migrations to `schema`, and returns their names. All or none.

    Raises:
        DsnInvalid: `dsn` cannot be used.
        DatabaseUnavailable: no connection, or no right to make tables.
        DatabaseUnsuitable: PostgreSQL is older than 14, or the encoding is not UTF8.
    """
    target = read_dsn(dsn)
    for note in target.notes:
        log.warning("%s", note)
    with connection_errors(target):
        connection = await asyncpg.connect(
            target.url,
            timeout=target.connect_seconds,
            statement_cache_size=0,  # The transaction may be the only thing that is ours.
        )
        try:
            _check_suitable(connection)
            async with connection.transaction():
                return await _apply_missing(connection, schema)
        except (asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError) as error:
            raise DatabaseUnsuitable(
                f"the schema {schema} has tables of somebody else: {error};"
                " JOBSVC_SCHEMA can name another schema"
            ) from None
        except asyncpg.InsufficientPrivilegeError as error:
            raise DatabaseUnavailable("the database does not let us make our tables") from error
        finally:
            await connection.close(timeout=5)


def lock_of(schema: str) -> int:
    """Returns the key of the advisory lock that whoever migrates a schema holds. Pure."""
    digest = hashlib.sha256(f"jobsvc migrates {schema}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


async def _apply_missing(connection: asyncpg.Connection, schema: str) -> list[str]:
    sql = texts(schema)
    names = migration_names()
    if not (await read_installation(connection, schema)).missing(names):
        return []
    await _lock(connection, schema)
    installation = await read_installation(connection, schema)  # Another may have migrated it.
    if not installation.has_schema:
        await connection.execute(sql["make_schema"])
    if not installation.has_migration_table:
        await connection.execute(sql["make_schema_migration"])
    # The files name no schema, and released ones never change.
    await connection.fetch(sql["enter_schema"], schema)
    applied = installation.missing(names)
    for name in applied:
        file = files(__package__) / "migrations" / f"{name}.sql"
        await connection.execute(file.read_text(encoding="utf-8"))
        await connection.fetch(sql["record_migration"], name)
        log.info("applied migration %s", name)
    return applied


async def _lock(connection: asyncpg.Connection, schema: str) -> None:
    """Makes others that migrate the schema wait for the end of this transaction."""
    key = lock_of(schema)
    if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", key):
        log.info("waiting for another process that migrates the database")
        await connection.execute("SELECT pg_advisory_xact_lock($1)", key)


def migration_names() -> list[str]:
    """The names of the migrations of this release, in order."""
    names = (file.name for file in (files(__package__) / "migrations").iterdir())
    return sorted(name.removesuffix(".sql") for name in names if name.endswith(".sql"))


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
