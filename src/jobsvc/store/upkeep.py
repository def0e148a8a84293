"""Upkeep of the tables: expired jobs, old jobs, dead rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from jobsvc.domain.dead_rows import DirtyTable, HorizonHolder
from jobsvc.domain.outcome import JOB_EXPIRED, START_DEADLINE
from jobsvc.store.database import Connection, Database
from jobsvc.store.records import encode_error

#: The statement for each table; a table's name cannot be a parameter.
_VACUUM = {"lease": "vacuum_lease", "waiting": "vacuum_waiting"}

#: Errors of a job that expired, and of one that did not start in time.
_ERRORS = encode_error(JOB_EXPIRED), encode_error(START_DEADLINE)


class ExpiredJob(NamedTuple):
    """A job that failed while it waited, and the reason of its error."""

    job_id: str
    queue: str
    reason: str


def _expired_job(row: asyncpg.Record) -> ExpiredJob:
    error = JOB_EXPIRED if row["expired"] else START_DEADLINE
    return ExpiredJob(str(row["job_id"]), row["queue"], error.reason)


class UpkeepStore:
    """Statements that the clock asks for. Each does a bounded amount of work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire(
        self, limit: int, failed_retention_seconds: float, connection: Connection | None = None
    ) -> Sequence[ExpiredJob]:
        """Fails waiting jobs that expired or did not start in time, and returns them; inside the
        caller's transaction if there is one, as all duties here.

        `limit` bounds each of the two kinds.
        """
        rows = await self._fetch(
            connection, "expire_jobs", limit, *_ERRORS, failed_retention_seconds, ()
        )
        return [_expired_job(row) for row in rows]

    async def expire_named(
        self,
        job_ids: Sequence[str],
        failed_retention_seconds: float,
        connection: Connection,
    ) -> Sequence[ExpiredJob]:
        """As `expire`, for those of these jobs of which it is true, inside the caller's
        transaction."""
        rows = await connection.fetch(
            self._database.sql["expire_jobs"], 0, *_ERRORS, failed_retention_seconds, job_ids
        )
        return [_expired_job(row) for row in rows]

    async def clock(self) -> datetime:
        """Returns the database's time."""
        (row,) = await self._database.fetch("read_clock")
        now: datetime = row["now"]
        return now

    async def prune(
        self, limit: int, request_id_seconds: float, connection: Connection | None = None
    ) -> int:
        """Removes ended jobs whose retention has passed, and returns their number.

        Until `request_id_seconds` after its end, a job with a request id is only emptied.
        """
        (row,) = await self._fetch(connection, "prune_jobs", limit, request_id_seconds)
        count: int = row["count"]
        return count

    async def prune_schemas(self, max_jobs: int, connection: Connection | None = None) -> int:
        """Removes schemas that no queue has had for a day and no job has, and returns their number.

        Of the oldest jobs, `max_jobs` are read to know that.
        """
        (row,) = await self._fetch(connection, "prune_schemas", max_jobs)
        count: int = row["count"]
        return count

    async def dirty_tables(self) -> Sequence[DirtyTable]:
        """Returns the tables with many dead rows."""
        dirty = await self._database.fetch("dirty_tables", self._database.schema)
        return [DirtyTable(row["name"], row["dead_rows"], row["may_vacuum"]) for row in dirty]

    async def vacuum(self, table: str) -> None:
        """Vacuums one of the tables that may be dirty, unless somebody else does just now."""
        await self._database.fetch(_VACUUM[table])

    async def horizon_holder(self) -> HorizonHolder | None:
        """Returns whose old snapshot keeps dead rows in place; None if none is to be seen."""
        rows = await self._database.fetch("horizon_holder")
        return next((HorizonHolder(*row.values()) for row in rows), None)

    async def count_connections(self) -> int:
        """Returns how many connections the server has, of all programs."""
        (row,) = await self._database.fetch("count_connections")
        count: int = row["count"]
        return count

    async def _fetch(
        self, connection: Connection | None, statement: str, *arguments: object
    ) -> Sequence[asyncpg.Record]:
        if connection is None:
            return await self._database.fetch(statement, *arguments)
        return await connection.fetch(self._database.sql[statement], *arguments)
