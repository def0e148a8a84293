"""Migrations: each is applied once, whichever replica starts first."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from jobsvc.app import _migrate
from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.settings import SCHEMA
from jobsvc.store.migrate import DatabaseUnsuitable, lock_of, migrate
from tests.store.support.samples import until_blocked


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
    starting = asyncio.create_task(_migrate(dsn, stop, SCHEMA))
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
