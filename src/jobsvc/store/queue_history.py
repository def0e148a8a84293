"""Statements on the minutes of queues."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg

from jobsvc.domain.errors import QueueNotFound
from jobsvc.domain.queue_history import KEPT_MINUTES, CountedMinute, QueueMinute
from jobsvc.store.database import Connection, Database

#: What is read besides: the minutes of which a reader of a whole day may see a part.
_KEPT_SECONDS = (KEPT_MINUTES + 1) * 60.0


class QueueHistoryStore:
    """Statements that write, read and remove what became of jobs, by queue and minute."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, write_id: int, age_seconds: float, counted: CountedMinute) -> datetime:
        """Adds counts to those of other replicas, and returns the database's time. Those that have
        been added under this id are not added again.

        `age_seconds` is how long ago the middle of the minute was.
        """
        (row,) = await self._database.fetch(
            "add_queue_minute",
            write_id,
            age_seconds,
            counted.queues,
            counted.created,
            counted.completed,
            counted.cancelled,
            counted.retried,
            _texts(counted.failed),
            _texts(counted.wait),
            _texts(counted.run),
        )
        now: datetime = row["now"]
        return now

    async def are_depths_known(self) -> bool:
        """Returns whether some replica has written the depths of queues in this minute."""
        (row,) = await self._database.fetch("queue_depths_known")
        known: bool = row["known"]
        return known

    async def add_depths(self, depths: Sequence[tuple[str, int, int]]) -> None:
        """Writes how many jobs of queues are ready, and how many run."""
        columns = zip(*depths, strict=True)
        await self._database.fetch("add_queue_depths", *map(list, columns))

    async def read(self, queue: str, minutes: int) -> tuple[datetime, list[QueueMinute]]:
        """Returns the last `minutes` of a queue, oldest first, without empty ones, and when the
        last of them has ended.

        Raises:
            QueueNotFound: there is no such queue.
        """
        rows = await self._database.fetch("read_queue_minutes", queue, minutes)
        if not rows:
            raise QueueNotFound(queue)
        end: datetime = rows[0]["last"]
        return end, [_minute(row) for row in rows if row["minute"] is not None]

    async def recent(
        self, queues: Sequence[str] | None, minutes: int
    ) -> dict[str, tuple[datetime, list[QueueMinute]]]:
        """Returns the same of several queues, None for all; without queues that have none."""
        found: dict[str, tuple[datetime, list[QueueMinute]]] = {}
        for row in await self._database.fetch("recent_queue_minutes", queues, minutes):
            found.setdefault(row["name"], (row["last"], []))[1].append(_minute(row))
        return found

    async def prune(self, limit: int, connection: Connection | None = None) -> int:
        """Removes minutes whose time is over, inside the caller's transaction if there is one, and
        returns their number."""
        if connection is None:
            (row,) = await self._database.fetch("prune_queue_minutes", limit, _KEPT_SECONDS)
        else:
            statement = self._database.sql["prune_queue_minutes"]
            (row,) = await connection.fetch(statement, limit, _KEPT_SECONDS)
        count: int = row["count"]
        return count


def _texts(arrays: Iterable[Sequence[int]]) -> list[str]:
    """Arrays as PostgreSQL writes them: those of different lengths are no array of arrays."""
    return [f"{{{','.join(map(str, array))}}}" for array in arrays]


def _minute(row: asyncpg.Record) -> QueueMinute:
    return QueueMinute(
        row["minute"],
        row["created"],
        row["completed"],
        row["cancelled"],
        row["retried"],
        row["ready"],
        row["processing"],
        row["failed"],
        row["wait"],
        row["run"],
    )
