"""What is measured, put up and taken down: PostgreSQL, databases, servers, workers."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from bench.child import Child, child
from bench.observer import database_dsn
from jobsvc.embedded import embedded_postgres

#: Leases that a worker holds at a time.
WINDOW = 4000
#: In its first 2 s a server notifies others of everything, until it is clear that nobody is there.
_SETTLE_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class Stack:
    """A PostgreSQL, and a folder for what processes have to say."""

    dsn: str
    folder: Path


@asynccontextmanager
async def stack(settings: Mapping[str, str] | None = None) -> AsyncIterator[Stack]:
    """A fresh embedded PostgreSQL with the settings of the service, durability on.

    It counts statements for everybody, which is all that differs, with `settings`. Its data lie
    below TMPDIR.
    """
    with tempfile.TemporaryDirectory(prefix="jobsvc-bench-") as name:
        folder = Path(name)
        own = {"shared_preload_libraries": "pg_stat_statements", **(settings or {})}
        async with embedded_postgres(folder / "data", own) as postgres:
            yield Stack(postgres.dsn, folder)


@asynccontextmanager
async def fresh_database(dsn: str, name: str, template: str | None = None) -> AsyncIterator[str]:
    """A database for the length of the block, empty or a copy of `template`; its DSN.

    A checkpoint comes first, so that none that is owed to an earlier measurement falls into it.
    """
    async with _outside(dsn) as connection:
        await _create(connection, name, template)
        await connection.execute("CHECKPOINT")
        try:
            yield database_dsn(dsn, name)
        finally:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def make_template(dsn: str, name: str) -> AsyncIterator[str]:
    """A database that stays, to be filled in the block; then vacuumed, as it would be in time."""
    async with _outside(dsn) as connection:
        await _create(connection, name)
    yield (filled := database_dsn(dsn, name))
    connection = await asyncpg.connect(filled)
    try:
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


async def _create(connection: asyncpg.Connection, name: str, template: str | None = None) -> None:
    copied = f" TEMPLATE {template} STRATEGY file_copy" if template else ""
    await connection.execute(f"CREATE DATABASE {name}{copied}")


@asynccontextmanager
async def _outside(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn, database="postgres")
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def servers(
    stack: Stack, dsn: str, count: int = 1, environment: Mapping[str, str] | None = None
) -> AsyncIterator[list[Child]]:
    """Server processes with default settings on one database; `detail` of each is HOST:PORT."""
    settings = {
        "JOBSVC_DSN": dsn,
        "JOBSVC_LISTEN": "127.0.0.1:0",
        "JOBSVC_LOG_LEVEL": "WARNING",
        **(environment or {}),
    }
    async with AsyncExitStack() as running:
        started = []
        for n in range(count):
            server = child(
                f"server-{n}",
                ["-m", "jobsvc", "serve"],
                "jobsvc listening on ",
                stack.folder,
                settings,
            )
            started.append(await running.enter_async_context(server))
        await asyncio.sleep(_SETTLE_SECONDS)
        yield started


@asynccontextmanager
async def workers(
    stack: Stack, targets: Sequence[str], count: int, module: str = "noop", window: int = WINDOW
) -> AsyncIterator[list[Child]]:
    """Worker processes with the processor of `bench/{module}.py`, spread over the targets."""
    arguments = ["-m", "jobsvc.worker", str(Path(__file__).with_name(f"{module}.py"))]
    arguments += ["--concurrency", str(window), "--target"]
    async with AsyncExitStack() as running:
        started = []
        for n in range(count):
            command = [*arguments, targets[n % len(targets)]]
            worker = child(f"worker-{n}", command, "jobsvc worker ", stack.folder)
            started.append(await running.enter_async_context(worker))
        yield started
