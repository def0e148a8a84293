"""Brings the schema up to date: applies numbered SQL files once each, one process at a time."""

import asyncio
import logging
from collections.abc import Sequence

import asyncpg

from jobsvc.settings import SCHEMA
from jobsvc.store.ddl import DatabaseUnsuitable, ddl_transaction, enter_schema, lock_schemas
from jobsvc.store.installation import FORMER_SCHEMA, Installation, read_installation
from jobsvc.store.migration import Migration, read_migrations, relations_of
from jobsvc.store.statement import texts

log = logging.getLogger(__name__)

#: A change of a table waits for all that use it, and what comes later waits behind the change. So
#: it waits for so long only, and lets everybody pass before it tries again.
_MAX_LOCK_SECONDS = 2
_PAUSE_SECONDS = 5.0


class _TableInUse(Exception):
    """Somebody's transaction keeps a table that a migration changes."""


async def migrate(dsn: str, schema: str = SCHEMA, move_from: str | None = None) -> list[str]:
    """Applies the missing migrations to `schema`, all or none, and returns their names. A role that
    finds all there needs no right to make anything.

    The tables of an installation in the schema `move_from` are moved here first, unless there are
    some already. While another transaction keeps a table from being changed, it tries again and
    again, and jobs go on.

    Raises:
        DsnInvalid, DatabaseUnavailable, DatabaseUnsuitable: as `ddl_transaction`; the last one also
            when the schema is too new for this release, or when the jobs are in another schema.
    """
    told = False
    while True:
        try:
            return await _migrate(dsn, schema, move_from)
        except _TableInUse:
            if not told:
                log.warning(
                    "the schema %s cannot be changed: a transaction uses its tables, of a dump,"
                    " of a session that was left open, or of the work that goes on; it is tried"
                    " again every %g s",
                    schema,
                    _PAUSE_SECONDS,
                )
                told = True
            await asyncio.sleep(_PAUSE_SECONDS)


async def _migrate(dsn: str, schema: str, move_from: str | None) -> list[str]:
    known = read_migrations()
    async with ddl_transaction(dsn, schema) as connection:
        if move_from is not None:
            await _move(connection, move_from, schema)
        installation = await _read_suitable(connection, schema, known)
        if newer := installation.newer(known):
            log.info("this release runs on the newer schema of %s", newer[-1])
        if not installation.missing(known):
            await _mend_schema_ids(connection, schema)
            return []
        await lock_schemas(connection, schema)
        # Another may have come first.
        installation = await _read_suitable(connection, schema, known)
        missing = installation.missing(known)
        try:
            return await _apply(connection, schema, installation, missing)
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
            # A deadlock: it has changed one table, waits for another, and who has that one wants
            # the first.
            raise _TableInUse from None
        except asyncpg.InsufficientPrivilegeError as error:
            raise DatabaseUnsuitable(
                f"the schema {schema} lacks the migration {missing[0].name}, and this role may not"
                f" apply it ({error}): run `jobsvc migrate` as its owner"
            ) from None


async def _mend_schema_ids(connection: asyncpg.Connection, schema: str) -> None:
    if row := await connection.fetchrow(texts(schema)["mend_schema_ids"], schema):
        log.warning(
            "the sequence of schema ids was behind the ids, as after a logical copy of the tables;"
            " it goes on behind %d",
            row["id"],
        )


async def _read_suitable(
    connection: asyncpg.Connection, schema: str, known: Sequence[Migration]
) -> Installation:
    installation = await read_installation(connection, schema)
    complaint = await complaint_about(connection, schema, installation, known)
    if complaint is not None:
        raise DatabaseUnsuitable(complaint)
    return installation


async def complaint_about(
    connection: asyncpg.Connection,
    schema: str,
    installation: Installation,
    known: Sequence[Migration],
) -> str | None:
    """Returns why this release neither serves on a schema nor migrates it, if so."""
    if not installation.is_readable:
        return (
            f"this role may not read the schema {schema}: `jobsvc migrate --grant ROLE`, run as its"
            " owner, gives a role what serving needs"
        )
    if not installation.runs(known):
        return (
            f"the schema {schema} is newer than this release (it has"
            f" {installation.newer(known)[-1]}), which cannot run on it: use a newer release"
        )
    if not installation.applied and schema == SCHEMA:
        former = await read_installation(connection, FORMER_SCHEMA)
        if former.applied:
            return (
                f"the tables of jobsvc are in the schema {FORMER_SCHEMA}, where older releases made"
                f" them: stop those, and `jobsvc migrate --move-from {FORMER_SCHEMA}` moves the"
                f" tables to {schema} (or set JOBSVC_SCHEMA={FORMER_SCHEMA})"
            )
    return None


async def check_current(dsn: str, schema: str) -> None:
    """Checks that a schema has what the statements of this release need. Changes nothing.

    Raises: as `migrate`; DatabaseUnsuitable also when a migration is missing.
    """
    known = read_migrations()
    async with ddl_transaction(dsn, schema) as connection:
        installation = await _read_suitable(connection, schema, known)
        if missing := installation.missing(known):
            raise DatabaseUnsuitable(
                f"the schema {schema} lacks the migration {missing[0].name}: this release has not"
                " served on it yet"
            )


async def move(dsn: str, source: str, schema: str) -> None:
    """Moves the tables of an installation from the schema `source` to `schema`, all or none. They
    keep their owner and their rights.

    Raises:
        DsnInvalid, DatabaseUnavailable, DatabaseUnsuitable: as `ddl_transaction`; the last one also
            when there are none, or when `schema` has some already.
    """
    async with ddl_transaction(dsn, schema) as connection:
        complaint = await _move(connection, source, schema)
        if complaint is not None:
            raise DatabaseUnsuitable(complaint)


async def _move(connection: asyncpg.Connection, source: str, schema: str) -> str | None:
    """As `move`; returns why nothing is moved."""
    sql = texts(schema)
    await lock_schemas(connection, source, schema)
    found = await read_installation(connection, source)
    known = read_migrations()
    if not found.applied:
        return f"the schema {source} has no tables of jobsvc"
    if found.newer(known):
        return f"the schema {source} is newer than this release: its own release moves it"
    there = await read_installation(connection, schema)
    if there.applied:
        return f"the schema {schema} has tables of jobsvc already"
    if not there.has_schema:
        await connection.execute(sql["make_schema"])
    applied = [m for m in known if m.name in found.applied]
    names = sorted({"schema_migration", *relations_of(applied)})
    for row in await connection.fetch(sql["move_relations"], source, schema, names):
        await connection.execute(row["statement"])
    log.info("moved the tables of jobsvc from the schema %s to %s", source, schema)
    return None


async def _apply(
    connection: asyncpg.Connection,
    schema: str,
    installation: Installation,
    migrations: Sequence[Migration],
) -> list[str]:
    sql = texts(schema)
    if not installation.has_schema:
        await connection.execute(sql["make_schema"])
    if not installation.has_migration_table:
        await connection.execute(sql["make_schema_migration"])
    # The files name no schema, and released ones never change.
    await enter_schema(connection, schema)
    await connection.execute(f"SET LOCAL lock_timeout = '{_MAX_LOCK_SECONDS}s'")
    for migration in migrations:
        await connection.execute(migration.text)
        await connection.fetch(sql["record_migration"], migration.name)
        if migration.runs_from is not None:
            await connection.fetch(sql["record_compatibility"], migration.name, migration.runs_from)
        log.info("applied migration %s", migration.name)
    return [migration.name for migration in migrations]
