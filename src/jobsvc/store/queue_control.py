"""Queues are paused, emptied and removed."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from jobsvc.domain.errors import QueueNotEmpty
from jobsvc.domain.queue import Pause, Queue
from jobsvc.store.database import Connection, Database
from jobsvc.store.records import queue_from

#: Comes before every job id.
FIRST_ID = "00000000-0000-0000-0000-000000000000"


class Position(NamedTuple):
    """Where a waiting job stands in its queue."""

    rank: int
    run_at: datetime
    job_id: str


class Removed(NamedTuple):
    """Jobs that were removed; the last job that was looked at, None at the end of all jobs; and
    how many jobs of the queue were left, since others were about to move them."""

    job_ids: Sequence[str]
    last: str | None
    left_over: int


class QueueControlStore:
    """Statements that steer a queue and its jobs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_pause(
        self, name: str, change: Callable[[Queue, datetime], Pause | None]
    ) -> Queue | None:
        """Pauses or resumes a queue as `change(queue, now)` says, one caller at a time; nothing is
        changed if it raises an error. Returns the queue, None if there is none."""
        sql = self._database.sql
        async with self._database.transaction() as connection:
            rows = await connection.fetch(sql["lock_queue"], name)
            if not rows:
                return None
            queue = queue_from(rows[0])
            pause = change(queue, rows[0]["read_time"])
            if pause == queue.pause:
                return queue
            reason, end_time = (pause.reason, pause.end_time) if pause else ("", None)
            await connection.fetch(sql["set_pause"], name, pause is not None, reason, end_time)
            (row,) = await connection.fetch(sql["lock_queue"], name)
            return queue_from(row)

    async def cancel_waiting(
        self,
        name: str,
        limit: int,
        reason: str,
        retention_seconds: float,
        after: Position | None,
    ) -> list[Position]:
        """Cancels the next waiting jobs of a queue behind `after`, in the order of the queue, and
        returns them. Fewer than `limit`: there are no more."""
        rows = await self._database.fetch(
            "cancel_waiting_of_queue",
            name,
            limit,
            reason,
            retention_seconds,
            *(after or (None, None, None)),
        )
        return sorted(Position(row["rank"], row["run_at"], str(row["job_id"])) for row in rows)

    async def close(self, name: str, check: Callable[[Queue], None]) -> bool:
        """Lets no more jobs be created in a queue, or leased from it: it is about to be removed.
        `check` may raise an error. False if there is no such queue."""
        async with self._database.transaction() as connection:
            if await self._checked(connection, name, check) is None:
                return False
            await connection.fetch(self._database.sql["close_queue"], name)
            return True

    async def removal_given_up(self, seconds: float) -> str | None:
        """Returns a queue whose removal began so long ago and has not ended; None if there is
        none."""
        rows = await self._database.fetch("find_removal_given_up", seconds)
        return rows[0]["name"] if rows else None

    async def delete_jobs(self, name: str, after: str, limit: int) -> Removed:
        """Removes the jobs of a queue that are among the next `limit` jobs behind `after`."""
        (row,) = await self._database.fetch("delete_jobs_of_queue", name, after, limit)
        last = None if row["last"] is None else str(row["last"])
        return Removed([str(job_id) for job_id in row["removed"]], last, row["left_over"])

    async def delete(self, name: str, check: Callable[[Queue], None]) -> bool:
        """Removes a queue whose jobs have all ended. `check` may raise an error. False if there is
        no such queue.

        Raises:
            QueueNotEmpty: there are other jobs.
        """
        sql = self._database.sql
        async with self._database.transaction() as connection:
            # At first without waiting for anybody: a queue in use is locked all the time.
            await self._check_unused(connection, name)
            await connection.fetch(sql["lock_queue_whole"], name)
            if await self._checked(connection, name, check) is None:
                return False
            await self._check_unused(connection, name)
            await connection.fetch(sql["delete_queue"], name)
            return True

    async def _checked(
        self, connection: Connection, name: str, check: Callable[[Queue], None]
    ) -> Queue | None:
        rows = await connection.fetch(self._database.sql["lock_queue"], name)
        if not rows:
            return None
        queue = queue_from(rows[0])
        check(queue)
        return queue

    async def _check_unused(self, connection: Connection, name: str) -> None:
        (row,) = await connection.fetch(self._database.sql["queue_in_use"], name)
        if row["in_use"]:
            raise QueueNotEmpty(name)
