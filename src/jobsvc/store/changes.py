"""Statements that find out which jobs have changed since a time."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from jobsvc.domain.job_id import first_job_id
from jobsvc.domain.read_horizon import Snapshot
from jobsvc.store.database import Database

#: Changes that one statement looks at, at most, but for those of one time.
_MAX_MOVED = 2000
#: Jobs that one statement looks at to see when they were created.
_MAX_CREATED = 5000


class Change(NamedTuple):
    """A job that has changed, and how it was when that was found. `version` 1: it was created, and
    may have changed since."""

    job_id: str
    queue: str
    version: int
    update_time: datetime


class ChangeStore:
    """Statements on the changes of jobs."""

    def __init__(
        self, database: Database, max_moved: int = _MAX_MOVED, max_created: int = _MAX_CREATED
    ) -> None:
        """One statement looks at `max_moved` changes, or `max_created` jobs, at most."""
        self._database = database
        self._max_moved = max_moved
        self._max_created = max_created

    async def snapshot(self) -> Snapshot:
        """Returns what statements that begin later can see at least."""
        (row,) = await self._database.fetch("read_snapshot")
        return Snapshot(row["time"], row["oldest_open"], row["number"])

    @property
    def timeline(self) -> int | None:
        """The timeline of the database, as far as this replica has seen it: another one after a
        failover."""
        servers = self._database.servers
        seen = None if servers is None else servers.timelines.seen
        return None if seen is None else seen.timeline

    async def since(
        self, time: datetime, clock_difference: timedelta, queues: Collection[str] | None
    ) -> AsyncIterator[Sequence[Change]]:
        """Yields the jobs of `queues` (None for all) that have changed since `time` and can be
        seen, in parts; one that changes meanwhile may be missing, or come twice.

        A job is missed if it was only created, by a replica whose clock is behind that of the
        database by more than `clock_difference`.
        """
        of_queues = None if queues is None else list(queues)
        before: str | None = first_job_id(time, -clock_difference)
        while before is not None:
            rows = await self._database.fetch(
                "find_created", time, before, self._max_created, of_queues
            )
            yield [
                Change(str(r["id"]), r["queue"], 1, r["create_time"]) for r in rows if r["matches"]
            ]
            before = str(rows[-1]["id"]) if rows and rows[-1]["ends_search"] else None
        inclusive = True
        while True:
            rows = await self._database.fetch(
                "find_moved", time, inclusive, self._max_moved, of_queues
            )
            yield [
                Change(str(r["id"]), r["queue"], r["version"], r["update_time"])
                for r in rows
                if r["matches"]
            ]
            if not rows or rows[-1]["candidates"] < self._max_moved:
                return
            time, inclusive = rows[-1]["update_time"], False

    async def in_queues(self, job_ids: Sequence[str], queues: Collection[str]) -> list[str]:
        """Returns those of the jobs that are in one of the queues."""
        rows = await self._database.fetch("find_in_queues", job_ids, list(queues))
        return [str(row["id"]) for row in rows]
