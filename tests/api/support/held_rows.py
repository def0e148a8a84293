"""A move of a job that is held open while calls meet it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.support.looking import look_at
from tests.support.probe import eventually

_BLOCKED = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


@asynccontextmanager
async def moving(dsn: str, *statements: str) -> AsyncIterator[asyncpg.Connection]:
    """Runs statements in a transaction that is committed at the end of the block."""
    connection = await look_at(dsn)
    try:
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
            yield connection
    finally:
        await connection.close()


async def until_blocked(sql: asyncpg.Connection, count: int = 1) -> None:
    """Waits until so many statements wait for rows that are held."""

    async def blocked() -> int:
        found: int = await sql.fetchval(_BLOCKED)
        return found

    await eventually(blocked, lambda found: found >= count, what="a statement that waits for a row")
