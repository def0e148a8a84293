"""Connections whose statements are not counted among those that are measured."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

OBSERVER = "bench_observer"
#: The database in which counters are read.
_OUTSIDE = "postgres"


def database_name(dsn: str) -> str:
    """The database that a DSN names."""
    return urlsplit(dsn).path.lstrip("/")


def database_dsn(dsn: str, database: str) -> str:
    """The same server, another database."""
    return urlsplit(dsn)._replace(path=f"/{database}").geturl()


@asynccontextmanager
async def observing(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the database of `dsn`, as a superuser whose statements are not counted."""
    await prepare_observer(dsn)
    connection = await asyncpg.connect(dsn, user=OBSERVER)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def counting(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The same, outside of the database of `dsn`, with `pg_stat_statements`."""
    await prepare_observer(dsn)
    connection = await asyncpg.connect(dsn, database=_OUTSIDE, user=OBSERVER)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        yield connection
    finally:
        await connection.close()


async def prepare_observer(dsn: str) -> None:
    """Makes the observer's account where it is missing."""
    connection = await asyncpg.connect(dsn, database=_OUTSIDE)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", OBSERVER):
            await connection.execute(f"CREATE ROLE {OBSERVER} LOGIN SUPERUSER")
    finally:
        await connection.close()
