"""Databases for a test each: copies of a migrated one, whose clock can be moved."""

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg

from jobsvc.settings import SCHEMA
from jobsvc.store.migrate import migrate
from jobsvc.store.under_test import make_clock_movable

#: The database that is copied.
TEMPLATE = "jobsvc_template"
_numbers = itertools.count()


async def make_template(dsn: str) -> None:
    """Makes the database that `scratch_database` copies, on the PostgreSQL of `dsn`."""
    await _execute(dsn, f"CREATE DATABASE {TEMPLATE}")
    template = _named(dsn, TEMPLATE)
    await migrate(template)
    await make_clock_movable(template, SCHEMA)


@asynccontextmanager
async def scratch_database(dsn: str) -> AsyncIterator[str]:
    """Makes a copy on the PostgreSQL of `dsn`, a URI, and removes it at the end. Yields its DSN."""
    name = f"jobsvc_test_{os.getpid()}_{next(_numbers)}"
    await _execute(dsn, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    try:
        yield _named(dsn, name)
    finally:
        await _execute(dsn, f"DROP DATABASE {name} WITH (FORCE)")


async def _execute(dsn: str, statement: str) -> None:
    # A database has no parameters; the names are made here.
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _named(dsn: str, database: str) -> str:
    return urlsplit(dsn)._replace(path=f"/{database}").geturl()
