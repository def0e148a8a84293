"""A session that would fail again leaves the pool."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.store.database import Database, open_database

SIZE = 4


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    async with open_database(dsn, pool_size=SIZE, statement_seconds=10.0) as opened:
        yield opened


async def fill(database: Database) -> None:
    """Opens every connection that the pool may have."""
    async with AsyncExitStack() as stack:
        for _ in range(SIZE):
            await stack.enter_async_context(database.connection())


async def write(database: Database) -> str:
    """How a write goes: `passed`, `refused`, or `lost` with its session."""
    try:
        await database.fetch("declare_queues", ["a"])
    except DatabaseUnavailable as error:
        return "refused" if error.is_refusal else "lost"
    return "passed"


async def test_sessions_made_while_the_database_was_read_only_leave_the_pool(
    dsn: str, sql: asyncpg.Connection, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    name = urlsplit(dsn).path[1:]
    await fill(database)
    await sql.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    assert await write(database) == "passed"  # by a session of before
    await sql.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'jobsvc'"
    )
    outcomes = [await write(database) for _ in range(3 * SIZE)]
    assert outcomes[-SIZE:] == ["refused"] * SIZE
    assert set(outcomes) <= {"lost", "refused"}
    await fill(database)
    assert await database.fetch("read_queues", ["b"], True) == []  # What it can, it does.
    await sql.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    outcomes = [await write(database) for _ in range(2 * SIZE)]
    assert outcomes == ["refused"] + ["passed"] * (2 * SIZE - 1)
    told = [r.message for r in caplog.records if r.message.startswith("writing")]
    assert [line.rpartition("writing ")[2][:5] for line in told] == ["fails", "works"]


@pytest.mark.parametrize("sqlstate", ["08P01", "26000", "57P01"])
async def test_session_that_is_out_of_step_leaves_the_pool(
    database: Database, sqlstate: str
) -> None:
    """The answer is raised by hand; the session itself lives on."""
    pid = "SELECT pg_backend_pid()"
    async with database.connection() as connection:
        spent = await connection.fetchval(pid)
    raising = f"DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}'; END$$"
    with pytest.raises(DatabaseUnavailable):
        async with database.connection() as connection:
            await connection.execute(raising)
    async with database.connection() as connection:
        assert await connection.fetchval(pid) != spent


async def test_session_that_was_merely_refused_stays(database: Database) -> None:
    pid = "SELECT pg_backend_pid()"
    async with database.connection() as connection:
        before = await connection.fetchval(pid)
    with pytest.raises(DatabaseUnavailable):
        async with database.connection() as connection:
            await connection.execute("SELECT * FROM no_such_table")
    async with database.connection() as connection:
        assert await connection.fetchval(pid) == before
