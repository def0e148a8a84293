"""Queues and the schemas of their payloads."""

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence

import asyncpg
from msgspec.structs import astuple

from jobsvc.domain.errors import QueueExists, QueueLimit, QueueNotFound
from jobsvc.domain.queue import Queue, QueueCounts, QueuePolicy, QueueUpdate
from jobsvc.store.database import Connection, Database
from jobsvc.store.records import queue_from

#: A worker that no replica has seen for longer is not counted.
_WORKER_SEEN_SECONDS = 10.0
#: Waiting jobs that are counted one by one; more are estimated.
_MAX_COUNTED = 1000


class QueueStore:
    """Statements on queues."""

    def __init__(self, database: Database, max_queues: int) -> None:
        """Where there are `max_queues` queues, no more is created."""
        self._database = database
        self._max_queues = max_queues

    async def read(self, names: Sequence[str], with_schemas: bool = True) -> Mapping[str, Queue]:
        """Returns queues by name, without those that do not exist. A schema may have a megabyte;
        without them, their ids are there still."""
        rows = await self._database.fetch("read_queues", list(names), with_schemas)
        return {row["name"]: queue_from(row) for row in rows}

    async def find_open(self, names: Collection[str], connection: Connection) -> set[str]:
        """Returns those of these queues in which jobs can be created."""
        rows = await connection.fetch(self._database.sql["read_queues"], list(names), False)
        return {row["name"] for row in rows if row["delete_time"] is None}

    async def lock_open(self, name: str, connection: Connection) -> int | None:
        """Keeps a queue from being removed until the end of the caller's transaction. Returns its
        `max_waiting`.

        Raises:
            QueueNotFound: it is gone or going.
        """
        rows = await connection.fetch(self._database.sql["lock_open_queue"], name)
        if not rows:
            raise QueueNotFound(name)
        max_waiting: int | None = rows[0]["max_waiting"]
        return max_waiting

    async def list_after(
        self, name: str, limit: int, schema_bytes: int
    ) -> tuple[list[Queue], bool]:
        """Returns queues whose names follow `name`, ordered by name, and whether there are more:
        `limit` at most, and with `schema_bytes` of schemas, unless the first has more."""
        rows = await self._database.fetch("list_queues", name, limit + 1, schema_bytes)
        page = [queue_from(row) for row in rows[:limit]]
        return page, bool(rows) and len(page) < rows[0]["following"]

    async def declare(self, names: Sequence[str]) -> None:
        """Creates those of the queues that do not exist, with defaults.

        Raises:
            QueueLimit: there are too many; none is created.
        """
        rows = await self._database.fetch("missing_queues", list(set(names)), self._max_queues)
        if rows:
            await self._database.fetch("declare_queues", self._creatable(rows))

    async def update(
        self,
        name: str,
        create: bool,
        change: Callable[[Queue], QueuePolicy],
        keep_newer_schema: bool = False,
    ) -> QueueUpdate | None:
        """Replaces the policy of a queue by `change(queue)`, one caller at a time.

        A missing queue is created with `create`; otherwise the result is None. If `change` raises
        an error, nothing is changed; nor with `keep_newer_schema` when the change has a schema
        that the queue has had and replaced.

        Raises:
            QueueLimit: the queue is missing, and there are too many.
        """
        sql = self._database.sql
        async with self._database.transaction() as connection:
            if create:
                rows = await connection.fetch(sql["missing_queues"], [name], self._max_queues)
                if rows:
                    await connection.fetch(sql["declare_queues"], self._creatable(rows))
            rows = await connection.fetch(sql["lock_queue"], name)
            if not rows:
                return None
            before = queue_from(rows[0])
            policy = change(before)
            if keep_newer_schema and policy != before.policy:
                superseded = await self._superseded(connection, before, policy)
                if superseded:
                    return QueueUpdate(before, before, superseded)
            return QueueUpdate(before, await self._write(connection, before, policy))

    async def create(self, name: str, change: Callable[[Queue], QueuePolicy]) -> Queue:
        """Creates a queue whose policy is `change(queue)`, given one with defaults.

        Raises:
            QueueExists: there is one.
            QueueLimit: there are too many.
        """
        sql = self._database.sql
        async with self._database.transaction() as connection:
            missing = await connection.fetch(sql["missing_queues"], [name], self._max_queues)
            # Another call may create it at the same time.
            if not missing or not await connection.fetch(
                sql["declare_queues"], self._creatable(missing)
            ):
                raise QueueExists(name)
            (row,) = await connection.fetch(sql["lock_queue"], name)
            queue = queue_from(row)
            return await self._write(connection, queue, change(queue))

    async def _write(self, connection: Connection, before: Queue, policy: QueuePolicy) -> Queue:
        """Writes the policy of a queue that the transaction has locked, if it is another one, and
        returns the queue."""
        if policy == before.policy:
            return before
        sql, name = self._database.sql, before.name
        await connection.fetch(
            sql["update_queue"],
            name,
            await self._save_schema(connection, policy.input_schema),
            await self._save_schema(connection, policy.output_schema),
            policy.lease_seconds,
            policy.max_waiting,
            *astuple(policy.run_policy),
        )
        (row,) = await connection.fetch(sql["lock_queue"], name)
        queue = queue_from(row)
        for field, old, new in (
            ("input_schema", before.input_schema_id, queue.input_schema_id),
            ("output_schema", before.output_schema_id, queue.output_schema_id),
        ):
            if old != new:
                await connection.fetch(sql["replace_schema"], name, field, old, new)
        return queue

    async def first_inputs(
        self, name: str, jobs: int, max_bytes: int
    ) -> tuple[list[str | None], int]:
        """Returns inputs of the first `jobs` that leave a queue, and how many jobs these are.

        The inputs are JSON text, None for the empty object, and as many as fit into `max_bytes`.
        """
        rows = await self._database.fetch("first_inputs", name, jobs, max_bytes)
        return [row["input"] for row in rows if row["fits"]], len(rows)

    async def read_schema(self, schema_id: int) -> str:
        """Returns the JSON Schema with this id. Schemas never change."""
        (row,) = await self._database.fetch("read_schema", schema_id)
        definition: str = row["definition"]
        return definition

    async def count(self, names: Sequence[str] | None) -> list[QueueCounts]:
        """Counts jobs and workers of queues, ordered by name; `names` None means all queues."""
        wanted = None if names is None else list(names)
        jobs = await self._database.fetch("count_jobs", wanted)
        seen = await self._database.fetch("count_workers", wanted, _WORKER_SEEN_SECONDS)
        workers = {
            row["queue"]: (row["workers"], row["open_window"], row["busy_workers"]) for row in seen
        }
        return [
            QueueCounts(
                row["name"],
                row["is_paused"],
                row["is_deleting"],
                row["scheduled"],
                row["ready"],
                row["processing"],
                row["oldest_seconds"],
                *workers.get(row["name"], (0, 0, 0)),
                row["max_waiting"],
            )
            for row in jobs
        ]

    async def count_waiting(self, name: str, connection: Connection | None = None) -> int:
        """Returns how many jobs of a queue wait, as the caller's transaction sees it if there is
        one: an estimate where they are many."""
        if connection is None:
            (row,) = await self._database.fetch("count_waiting", name, _MAX_COUNTED)
        else:
            sql = self._database.sql["count_waiting"]
            (row,) = await connection.fetch(sql, name, _MAX_COUNTED)
        count: int = row["waiting"]
        return count

    async def count_workers(self, name: str) -> tuple[int, int]:
        """Returns the number of workers of a queue, and how many more leases they would take."""
        rows = await self._database.fetch("count_workers", [name], _WORKER_SEEN_SECONDS)
        return (rows[0]["workers"], rows[0]["open_window"]) if rows else (0, 0)

    def _creatable(self, missing: Sequence[asyncpg.Record]) -> list[str]:
        """The names in rows of missing_queues.sql, in the order in which they are created.

        Others may create queues at the same time, so the limit is not exact.

        Raises:
            QueueLimit: there would be too many.
        """
        if missing[0]["queues"] + len(missing) > self._max_queues:
            raise QueueLimit(self._max_queues)
        return sorted(row["name"] for row in missing)

    async def _superseded(
        self, connection: Connection, before: Queue, policy: QueuePolicy
    ) -> tuple[str, ...]:
        asked = (
            (before.policy.input_schema, policy.input_schema),
            (before.policy.output_schema, policy.output_schema),
        )
        digests = [None if new is None or new == old else _digest(new) for old, new in asked]
        rows = await connection.fetch(
            self._database.sql["superseded_fields"], before.name, *digests
        )
        return tuple(sorted(row["field"] for row in rows))

    async def _save_schema(self, connection: Connection, definition: str | None) -> int | None:
        if definition is None:
            return None
        digest = _digest(definition)
        while True:
            # Empty only if another transaction stores or removes the same schema meanwhile, or if
            # the id is taken.
            rows = await connection.fetch(self._database.sql["save_schema"], digest, definition)
            if rows:
                schema_id: int = rows[0]["id"]
                return schema_id


def _digest(definition: str) -> bytes:
    return hashlib.sha256(definition.encode()).digest()
