"""Upkeep of the tables: expired jobs, old jobs, dead rows."""

from collections.abc import Sequence

from jobsvc.domain.outcome import JOB_EXPIRED, START_DEADLINE
from jobsvc.store.database import Database
from jobsvc.store.records import encode_error

#: The statement for each table; a table's name cannot be a parameter.
_VACUUM = {"lease": "vacuum_lease", "waiting": "vacuum_waiting"}


class UpkeepStore:
    """Statements that no caller asks for. Each does a bounded amount of work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expire(
        self, limit: int, failed_retention_seconds: float, request_id_seconds: float
    ) -> Sequence[str]:
        """Fails waiting jobs that expired or did not start in time, and returns their ids.

        `limit` bounds each of the two kinds.
        """
        rows = await self._database.fetch(
            "expire_jobs",
            limit,
            encode_error(JOB_EXPIRED),
            encode_error(START_DEADLINE),
            failed_retention_seconds,
            request_id_seconds,
        )
        return [str(row["job_id"]) for row in rows]

    async def prune(self, limit: int) -> int:
        """Removes ended jobs whose retention has passed, and returns their number."""
        return len(await self._database.fetch("prune_jobs", limit))

    async def vacuum(self) -> int:
        """Vacuums tables with many dead rows, and returns their number."""
        dirty = await self._database.fetch("dirty_tables")
        for row in dirty:
            await self._database.fetch(_VACUUM[row["name"]])
        return len(dirty)
