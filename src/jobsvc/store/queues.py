"""Queues and the schemas of their payloads."""

import hashlib
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import astuple

from jobsvc.domain.queue import Queue, QueueCounts, QueuePolicy
from jobsvc.store.database import Connection, Database
from jobsvc.store.records import queue_from
from jobsvc.store.statement import sql

#: Workers that no replica has reported for longer are not counted.
_WORKER_SEEN_SECONDS = 10.0


class QueueStore:
    """Statements on queues."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, names: Sequence[str]) -> Mapping[str, Queue]:
        """Queues by name; unknown ones are missing."""
        rows = await self._database.fetch("read_queues", list(names))
        return {row["name"]: queue_from(row) for row in rows}

    async def list_after(self, name: str, most: int) -> list[Queue]:
        """The queues whose names follow `name`, in their order."""
        return [queue_from(r) for r in await self._database.fetch("list_queues", name, most)]

    async def declare(self, names: Sequence[str]) -> None:
        """Creates the queues that do not exist, with defaults."""
        await self._database.fetch("declare_queues", sorted(set(names)))

    async def update(
        self, name: str, create: bool, change: Callable[[Queue], QueuePolicy]
    ) -> Queue | None:
        """Replaces the policy of a queue by `change(queue)`, one call at a time.

        `create` creates a missing queue first; otherwise returns None for one.
        An error that `change` raises leaves everything as it was.
        """
        async with self._database.transaction() as connection:
            if create:
                await connection.fetch(sql("declare_queues"), [name])
            rows = await connection.fetch(sql("lock_queue"), name)
            if not rows:
                return None
            before = queue_from(rows[0])
            policy = change(before)
            if policy != before.policy:
                await connection.fetch(
                    sql("update_queue"),
                    name,
                    await _save_schema(connection, policy.input_schema),
                    await _save_schema(connection, policy.output_schema),
                    policy.lease_seconds,
                    *astuple(policy.run_policy),
                )
            (row,) = await connection.fetch(sql("lock_queue"), name)
            return queue_from(row)

    async def read_schema(self, schema_id: int) -> str:
        """The JSON Schema that has this id; schemas never change."""
        (row,) = await self._database.fetch("read_schema", schema_id)
        definition: str = row["definition"]
        return definition

    async def count(self, names: Sequence[str] | None) -> list[QueueCounts]:
        """The counts of queues, in order of their names; None means all queues."""
        wanted = None if names is None else list(names)
        jobs = await self._database.fetch("count_jobs", wanted)
        seen = await self._database.fetch("count_workers", wanted, _WORKER_SEEN_SECONDS)
        workers = {row["queue"]: (row["workers"], row["open_window"]) for row in seen}
        return [
            QueueCounts(
                row["name"],
                row["paused"],
                row["scheduled"],
                row["ready"],
                row["processing"],
                row["oldest_seconds"],
                *workers.get(row["name"], (0, 0)),
            )
            for row in jobs
        ]

    async def count_workers(self, name: str) -> tuple[int, int]:
        """The number of workers of a queue, and of leases that they would take at once."""
        rows = await self._database.fetch("count_workers", [name], _WORKER_SEEN_SECONDS)
        return (rows[0]["workers"], rows[0]["open_window"]) if rows else (0, 0)


async def _save_schema(connection: Connection, definition: str | None) -> int | None:
    if definition is None:
        return None
    digest = hashlib.sha256(definition.encode()).digest()
    while True:
        # Empty only if another transaction commits the same schema while the statement runs.
        rows = await connection.fetch(sql("save_schema"), digest, definition)
        if rows:
            schema_id: int = rows[0]["id"]
            return schema_id
