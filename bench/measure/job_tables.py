"""Reads from the tables how many jobs have ended, how fast, and whether as they should."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from bench.measure.sample import WrongResult
from bench.measure.statement import sql

_POLL_SECONDS = 0.02
#: Longest wait for jobs to end.
_MAX_WAIT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Ended:
    """Jobs that have ended, and the seconds that they took by the database's clock."""

    jobs: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds


async def waiting_at(connection: asyncpg.Connection, queue: str, place: int) -> UUID:
    """Returns the job at a place in a queue, from 0, in the order in which jobs leave it."""
    job_id: UUID = await connection.fetchval(sql("waiting_at"), queue, place)
    return job_id


async def until_left(connection: asyncpg.Connection, job_id: UUID) -> None:
    """Waits until a job has left its queue. Cheap, however full the tables are.

    Raises:
        WrongResult: it takes too long.
    """
    await _until(connection, "has_left", job_id)


async def until_ended(connection: asyncpg.Connection) -> None:
    """Waits until all of a database's jobs have ended; nobody may be creating any.

    Raises:
        WrongResult: it takes too long.
    """
    await _until(connection, "all_ended")


async def drained(connection: asyncpg.Connection, max_jobs: int) -> Ended:
    """Returns the jobs that ended first, at most `max_jobs`, and the time from their first start to
    their last end."""
    row = await connection.fetchrow(sql("drained"), max_jobs)
    assert row is not None
    return Ended(row["jobs"], row["seconds"])


async def lived(connection: asyncpg.Connection, since: datetime) -> Ended:
    """Returns the jobs created since and ended, and the time from their first creation to their
    last end."""
    row = await connection.fetchrow(sql("lived"), since)
    assert row is not None
    return Ended(row["jobs"], row["seconds"])


async def check(connection: asyncpg.Connection, created: int, ended: int | None = None) -> None:
    """Checks that no job is missing, and that `ended` or more, or else all, are COMPLETED at their
    first attempt.

    Raises:
        WrongResult: which counts are wrong.
    """
    row = await connection.fetchrow(sql("outcome"))
    assert row is not None
    judge(dict(row), created, created if ended is None else ended)


def judge(counts: Mapping[str, int], created: int, min_ended: int) -> None:
    """The rule behind `check`."""
    right = (
        counts["jobs"] == created
        and counts["waiting"] + counts["leased"] + counts["ended"] == created
        and counts["ended"] >= min_ended
        and counts["completed"] == counts["at_first"] == counts["ended"]
        and counts["attempts"] == 0
    )
    if not right:
        found = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        raise WrongResult(f"of {created:,} jobs, {min_ended:,} should have ended: {found}")


async def _until(connection: asyncpg.Connection, query: str, *arguments: object) -> None:
    try:
        async with asyncio.timeout(_MAX_WAIT_SECONDS):
            # Polls, since the measured system must not know that it is watched.
            while not await connection.fetchval(sql(query), *arguments):  # noqa: ASYNC110
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        row = await connection.fetchrow(sql("outcome"))
        raise WrongResult(f"after {_MAX_WAIT_SECONDS:g} s: {dict(row or {})}") from None
