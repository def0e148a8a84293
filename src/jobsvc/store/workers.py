"""The tables of connected workers, which each replica writes, and of the ids that they have."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec

from jobsvc.domain.worker import HeldJob, ListedWorker, SeenWorker
from jobsvc.store.database import Database

#: Leases that are listed of one worker.
_MAX_LISTED = 100
_decode_leases = msgspec.json.Decoder(tuple[HeldJob, ...]).decode
_decode_labels = msgspec.json.Decoder(dict[str, str]).decode


class HeldId(NamedTuple):
    """A worker id and the stream that has it, with the digest of its token."""

    worker_id: str
    stream_id: str
    token_digest: bytes


class WorkerStore:
    """Statements on workers that were seen lately."""

    def __init__(self, database: Database, server_id: str) -> None:
        self._database = database
        self._server_id = server_id

    async def save(self, workers: Sequence[SeenWorker]) -> None:
        """Records that this replica sees these workers now."""
        await self._database.fetch(
            "save_workers",
            self._server_id,
            [w.worker_id for w in workers],
            [msgspec.json.encode(w.queues).decode() for w in workers],
            [w.window for w in workers],
            [w.lease_count for w in workers],
            [w.version for w in workers],
            [w.sdk for w in workers],
            [msgspec.json.encode(w.labels).decode() for w in workers],
            [w.unary for w in workers],
        )

    async def forget(self, worker_ids: Sequence[str]) -> None:
        """Records that these workers left this replica."""
        await self._database.fetch("forget_workers", self._server_id, list(worker_ids))

    async def list_after(
        self, queue: str | None, worker_id: str, server_id: str, limit: int
    ) -> list[ListedWorker]:
        """Returns workers that were seen in the last minute, `queue` None for those of all queues,
        ordered by their ids, and by replica where several see one."""
        rows = await self._database.fetch(
            "list_workers", queue, worker_id, server_id, limit, _MAX_LISTED
        )
        return [_listed(row) for row in rows]

    async def drain(self, worker_id: str, reason: str) -> bool:
        """Notes that a worker is to take no more jobs. False if none has seen it lately."""
        return bool(await self._database.fetch("drain_worker", worker_id, reason))

    async def drained(self) -> dict[str, str]:
        """Returns the workers that are to take no more jobs, each with the reason."""
        rows = await self._database.fetch("drained_workers")
        return {row["worker_id"]: row["reason"] for row in rows}

    async def take_id(self, held: HeldId, by_force: bool, gone_seconds: float) -> bool:
        """Gives a worker id to a stream. False if another stream has it, with another token, and
        was seen within `gone_seconds`; unless `by_force`."""
        return bool(await self._database.fetch("take_worker_id", *held, by_force, gone_seconds))

    async def id_seen(self, worker_id: str) -> datetime | None:
        """Returns when the stream that has a worker id was last seen; None if none has it."""
        rows = await self._database.fetch("worker_id_seen", worker_id)
        return rows[0]["last_seen"] if rows else None

    async def keep_ids(self, held: Sequence[HeldId]) -> set[str]:
        """Records that these streams are here, and returns the worker ids that they still have."""
        # In one order on all replicas, so that none waits for another in a circle.
        rows = await self._database.fetch(
            "keep_worker_ids", *map(list, zip(*sorted(held), strict=True))
        )
        return {row["worker_id"] for row in rows}

    async def release_ids(self, held: Sequence[HeldId]) -> None:
        """Takes from streams that have ended the worker ids that they still have."""
        await self._database.fetch(
            "release_worker_ids", [h.worker_id for h in held], [h.stream_id for h in held]
        )


def _listed(row: asyncpg.Record) -> ListedWorker:
    return ListedWorker(
        SeenWorker(
            row["worker_id"],
            tuple(row["queues"]),
            row["max_window"],
            row["held"],
            row["version"],
            row["sdk"],
            _decode_labels(row["labels"]),
            row["unary"],
        ),
        row["server_id"],
        row["connect_time"],
        row["last_seen"],
        _decode_leases(row["leases"] or "[]"),
        row["drain_time"],
    )
