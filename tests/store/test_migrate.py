"""Migrations: each is applied once, whichever replica starts first."""

import asyncio
from hashlib import sha256
from urllib.parse import urlsplit

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.sd_notify import ServiceManager
from jobsvc.server_process import until_prepared
from jobsvc.settings import SCHEMA, Settings
from jobsvc.store.ddl import DatabaseUnsuitable, lock_of, lock_schemas
from jobsvc.store.migrate import migrate
from jobsvc.store.migration import read_migrations
from jobsvc.store.rights import missing_for_serving
from jobsvc.store.statement import texts
from tests.store.support.former_release import install
from tests.store.support.samples import until_blocked
from tests.support.looking import look_at
from tests.support.probe import eventually

KNOWN = read_migrations()
DIGESTS = {
    "0001_jobs": "5d0290507a206b15",
    "0002_sample": "3769fb6507aed649",
    "0003_place_of_leased": "cecac590a1e7c5f8",
    "0004_start_within": "c229a4b21f602d9c",
    "0005_redeliveries": "cf5edd6c3f4e58bc",
    "0006_emptied_jobs": "f5761be2025835d9",
    "0007_worker_stream": "73ce05a5ddd3937c",
    "0008_replaced_schemas": "b3031d5b6dbf3c04",
    "0009_compatibility": "d7b51fc56f8e61ce",
    "0010_unused_schemas": "021eeb254388ca33",
    "0011_cancel_reason": "e8dafaebad3dc5dd",
    "0012_timeline": "7064dd9ee29d28fa",
    "0013_queue_control": "d28131d954f29f8b",
    "0014_lists": "a6da6f91a51a0b3d",
    "0015_changes": "461244c80f18614c",
    "0016_bulk_operations": "22454745cbd5695f",
    "0017_restore_check": "d18ba3c125fc0e42",
    "0020_identities": "a3dca242813c0cb5",
    "0021_audit": "d293e50632fbfba5",
}


async def test_current_schema_needs_nothing(dsn: str) -> None:
    assert await migrate(dsn) == []


async def test_replicas_that_start_together_migrate_once(dsn: str, sql: asyncpg.Connection) -> None:
    before = await sql.fetch("SELECT name FROM schema_migration ORDER BY name")
    await sql.execute("DROP SCHEMA jobsvc CASCADE")
    applied = await asyncio.gather(*(migrate(dsn) for _ in range(4)))
    assert sorted(name for names in applied for name in names) == [r["name"] for r in before]
    assert await sql.fetch("SELECT name FROM schema_migration ORDER BY name") == before


async def test_stop_ends_the_wait_for_another_that_migrates(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute("DROP SCHEMA jobsvc CASCADE")
    await sql.execute("SELECT pg_advisory_lock($1)", lock_of(SCHEMA))
    stop = asyncio.Event()
    starting = asyncio.create_task(until_prepared(dsn, Settings(dsn=dsn), stop, ServiceManager()))
    await until_blocked(sql)
    stop.set()
    assert not await asyncio.wait_for(starting, 10)


async def test_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        await migrate("postgresql://nobody@127.0.0.1:1/x")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_database_that_cannot_hold_every_text_is_refused(
    dsn: str, sql: asyncpg.Connection, encoding: str
) -> None:
    name = f"in_{encoding}".lower()
    await sql.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    other = urlsplit(dsn)._replace(path=f"/{name}").geturl()
    try:
        with pytest.raises(DatabaseUnsuitable, match=encoding):
            await migrate(other)
        looking = await asyncpg.connect(other)
        assert await looking.fetchval("SELECT to_regnamespace('jobsvc')") is None
        await looking.close()
    finally:
        await sql.execute(f"DROP DATABASE {name}")


def test_released_migrations_never_change() -> None:
    texts = {m.name: sha256(m.text.encode()).hexdigest()[:16] for m in KNOWN}
    assert texts | DIGESTS == texts


def test_migrations_say_whose_code_runs_on_them() -> None:
    """Since the one that asks for it."""
    names = [m.name for m in KNOWN]
    for migration in KNOWN[8:]:
        assert migration.runs_from in names
        assert migration.runs_from <= migration.name


async def test_what_a_migration_says_is_on_record(dsn: str, sql: asyncpg.Connection) -> None:
    rows = await sql.fetch("SELECT name, runs_from FROM schema_migration ORDER BY name")
    assert [tuple(row) for row in rows] == [(m.name, m.runs_from) for m in KNOWN]


async def test_schema_of_a_newer_release_is_refused(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute("INSERT INTO schema_migration VALUES ('9998_a'), ('9999_b')")
    with pytest.raises(
        DatabaseUnsuitable, match=r"jobsvc is newer than this release \(it has 9999_b"
    ):
        await migrate(dsn)
    (line,) = await missing_for_serving(dsn, SCHEMA)
    assert "newer than this release" in line


@pytest.mark.parametrize(
    ("runs_from", "runs"), [(KNOWN[-1].name, True), (KNOWN[0].name, True), ("9999_b", False)]
)
async def test_schema_of_a_newer_release_is_served_if_it_says_so(
    dsn: str, sql: asyncpg.Connection, runs_from: str, runs: bool
) -> None:
    await sql.execute(
        "INSERT INTO schema_migration (name, runs_from) VALUES ('9998_a', $1), ('9999_b', $2)",
        KNOWN[-1].name,
        runs_from,
    )
    if runs:
        assert await migrate(dsn) == []
    else:
        with pytest.raises(DatabaseUnsuitable):
            await migrate(dsn)


async def test_migration_waits_for_a_transaction_without_holding_up_others(
    dsn: str, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    """A dump locks every table for as long as it takes; what came behind a change would wait."""
    await sql.execute("DROP SCHEMA jobsvc CASCADE; CREATE SCHEMA jobsvc")
    older = KNOWN[9].name
    await install(sql, older, SCHEMA)
    dump = await look_at(dsn)
    async with dump.transaction():
        for table in ("job", "waiting", "lease", "result", "queue", "worker"):
            await dump.execute(f"LOCK TABLE jobsvc.{table} IN ACCESS SHARE MODE")
        migrating = asyncio.create_task(migrate(dsn))
        await eventually(
            lambda: migrating.done() or "cannot be changed" in caplog.text,
            seconds=10,
            what="a warning",
        )
        assert not migrating.done(), migrating
        # As statements of servers do.
        async with sql.transaction():
            await sql.execute("LOCK TABLE jobsvc.job, jobsvc.queue IN ROW EXCLUSIVE MODE")
            applied = await sql.fetchval("SELECT max(name) FROM jobsvc.schema_migration")
            assert applied == older, "all or none"
        assert not migrating.done()
    async with asyncio.timeout(60):
        assert await migrating == [m.name for m in KNOWN if m.name > older]
    await dump.close()


async def test_migration_that_is_in_a_deadlock_is_tried_again(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """It changes `waiting` and then `lease`; a statement may have them in the other order."""
    await sql.execute("DROP SCHEMA jobsvc CASCADE; CREATE SCHEMA jobsvc")
    older = "0021_audit"
    await install(sql, older, SCHEMA)
    other = await look_at(dsn)
    async with other.transaction():
        # So that the migration is the one that notices.
        await other.execute("SET LOCAL deadlock_timeout = '60s'")
        await other.execute("LOCK TABLE jobsvc.lease IN ROW EXCLUSIVE MODE")
        migrating = asyncio.create_task(migrate(dsn))
        await until_blocked(other)
        await other.execute("LOCK TABLE jobsvc.waiting IN ROW EXCLUSIVE MODE")
    async with asyncio.timeout(60):
        assert await migrating == [m.name for m in KNOWN if m.name > older]
    await other.close()


async def test_session_keeps_nothing_of_a_migration(sql: asyncpg.Connection) -> None:
    """A pooler lends it to others."""
    settings = "SELECT current_setting('search_path'), current_setting('statement_timeout')"
    locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    await sql.execute("SET statement_timeout = '5s'")
    before = await sql.fetchrow(settings)
    async with sql.transaction():
        await lock_schemas(sql, SCHEMA)
        await sql.fetch(texts(SCHEMA)["enter_schema"], "another")
        assert await sql.fetchrow(settings) == ("another, pg_temp", "0")
        assert await sql.fetchval(locks) == 1
    assert await sql.fetchrow(settings) == before
    assert await sql.fetchval(locks) == 0
