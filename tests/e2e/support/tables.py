"""The tables as they are at one moment, for the checker and for looking at faults."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg

from tests.support.looking import look_at


@dataclass(frozen=True)
class Result:
    """A row of `result`, times in seconds since 1970."""

    state: int
    attempt: int
    version: int
    lease_id: int | None
    start_time: float
    end_time: float
    output: str = ""


@dataclass(frozen=True)
class PastAttempt:
    """A row of `attempt`."""

    job_id: str
    attempt: int
    lease_id: int
    start_time: float
    end_time: float


@dataclass
class Tables:
    """Every job, by the table it is in; `jobs` maps an id to its request id."""

    jobs: dict[str, str] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)
    leased: list[str] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    attempts: list[PastAttempt] = field(default_factory=list)
    #: How many attempts each job may have.
    max_attempts: dict[str, int] = field(default_factory=dict)


async def read_tables(dsn: str) -> Tables:
    """Reads everything in one snapshot."""
    connection = await look_at(dsn)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            jobs = await connection.fetch("SELECT id, request_id, max_attempts FROM job")
            waiting = await connection.fetch("SELECT job_id FROM waiting")
            leased = await connection.fetch("SELECT job_id FROM lease")
            results = await connection.fetch("SELECT * FROM result")
            attempts = await connection.fetch("SELECT * FROM attempt")
    finally:
        await connection.close()
    return Tables(
        jobs={str(row["id"]): str(row["request_id"] or "") for row in jobs},
        waiting=[str(row["job_id"]) for row in waiting],
        leased=[str(row["job_id"]) for row in leased],
        results={
            str(row["job_id"]): Result(
                row["state"],
                row["attempt"],
                row["version"],
                row["lease_id"],
                row["start_time"].timestamp() if row["start_time"] else 0.0,
                row["end_time"].timestamp(),
                row["output"] or "",
            )
            for row in results
        },
        attempts=[
            PastAttempt(
                str(row["job_id"]),
                row["attempt"],
                row["lease_id"],
                row["start_time"].timestamp(),
                row["end_time"].timestamp(),
            )
            for row in attempts
        ],
        max_attempts={str(row["id"]): row["max_attempts"] for row in jobs},
    )


async def fetch(dsn: str, statement: str, *arguments: object) -> list[asyncpg.Record]:
    """Runs one statement."""
    connection = await look_at(dsn)
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


@asynccontextmanager
async def nothing_created(dsn: str) -> AsyncIterator[None]:
    """Creations wait meanwhile."""
    connection = await look_at(dsn)
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE job IN EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()
