"""What a database needs after it was restored to an earlier moment, or elsewhere."""

from dataclasses import replace

import asyncpg

from jobsvc.domain.restored import STEP, Findings
from jobsvc.store.ddl import DatabaseUnsuitable, ddl_transaction, lock_schemas
from jobsvc.store.dsn import read_dsn
from jobsvc.store.installation import read_installation
from jobsvc.store.migrate import complaint_about
from jobsvc.store.migration import read_migrations
from jobsvc.store.statement import texts

#: Of the sessions of servers, unless the DSN names them.
_SESSION_NAMES = ("jobsvc", "jobsvc-hints")


async def check_restored(
    dsn: str,
    schema: str,
    keep_seconds: float,
    dry_run: bool = False,
) -> Findings:
    """Returns what a restored database has of before, after having put it right: all or nothing,
    once for each start of PostgreSQL. With `dry_run` it only looks. `keep_seconds` is the default
    retention of jobs that are cancelled.

    Raises:
        DsnInvalid, DatabaseUnavailable, DatabaseUnsuitable: as `ddl_transaction`; the last one also
            when the schema is not that of this release, and when replicas would not use this
            server.
    """
    async with ddl_transaction(dsn, schema, obeys_notes=False) as connection:
        await _check_schema(connection, schema)
        if not dry_run:
            await lock_schemas(connection, schema)
        await _check_timeline(connection, schema)
        found = await _look(connection, schema, dsn)
        if dry_run or found.check_time is not None:
            return found
        return await _repair(connection, schema, found, keep_seconds)


async def _check_schema(connection: asyncpg.Connection, schema: str) -> None:
    known = read_migrations()
    installation = await read_installation(connection, schema)
    complaint = await complaint_about(connection, schema, installation, known)
    if complaint is not None:
        raise DatabaseUnsuitable(complaint)
    if missing := installation.missing(known):
        raise DatabaseUnsuitable(
            f"the schema {schema} lacks the migration {missing[0].name}: run `jobsvc migrate` first"
        )


async def _check_timeline(connection: asyncpg.Connection, schema: str) -> None:
    """Raises DatabaseUnsuitable if replicas would take this server for an old primary."""
    try:
        async with connection.transaction():
            row = await connection.fetchrow(texts(schema)["read_timeline"])
    except asyncpg.InsufficientPrivilegeError:
        return  # Nor may replicas know.
    if row is not None and row["timeline"] is not None and row["timeline"] < row["seen_elsewhere"]:
        raise DatabaseUnsuitable(
            f"replicas would not use this server: it is on timeline {row['timeline']}, and they"
            f" have seen timeline {row['seen_elsewhere']} elsewhere; to use it on purpose: DELETE"
            f" FROM {schema}.timeline"
        )


async def _look(connection: asyncpg.Connection, schema: str, dsn: str) -> Findings:
    names = {*_SESSION_NAMES, *filter(None, [read_dsn(dsn).application_name])}
    row = await connection.fetchrow(texts(schema)["restore_findings"], schema, sorted(names))
    assert row is not None, "its tables were there"
    return Findings(**row)


async def _repair(
    connection: asyncpg.Connection, schema: str, found: Findings, keep_seconds: float
) -> Findings:
    """Puts right what was found, and returns it with the numbers of leases that were ended."""
    sql = texts(schema)
    await connection.fetch(sql["raise_versions"], STEP)
    serving = found.sessions > 0
    leases: int = await connection.fetchval(sql["release_all_leases"], serving)
    cancelled: int = await connection.fetchval(sql["end_cancelled_leases"], keep_seconds, serving)
    await connection.fetch(sql["forget_presence"])
    await connection.fetch(sql["move_schema_ids"], schema, found.next_schema_id)
    await connection.fetch(sql["make_session_key"])
    await connection.fetch(sql["record_restore_check"], schema)
    return replace(found, leases=leases, cancelled_leases=cancelled)
