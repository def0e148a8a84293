"""The table of connected workers: each replica writes those that it sees."""

from collections.abc import Sequence

import msgspec

from jobsvc.domain.worker import SeenWorker
from jobsvc.store.database import Database


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
        )

    async def forget(self, worker_ids: Sequence[str]) -> None:
        """Records that these workers left this replica."""
        await self._database.fetch("forget_workers", self._server_id, list(worker_ids))
