"""Presence: which workers this replica sees, for the other replicas and for operators."""

import time
from collections.abc import Iterable

from jobsvc.domain.worker import SeenWorker
from jobsvc.store.store import Store

#: How often presence is saved; a worker without a unary call for twice as long is left out.
SAVE_SECONDS = 2.0


class Presence:
    """Workers seen on streams or by unary calls."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unary: dict[str, tuple[float, SeenWorker]] = {}
        self._left: set[str] = set()

    def saw(self, worker: SeenWorker) -> None:
        """Records a unary call of a worker."""
        self._unary[worker.worker_id] = (time.monotonic(), worker)

    def came(self, worker_id: str) -> None:
        """Records that a worker has connected."""
        self._left.discard(worker_id)

    def left(self, worker_id: str) -> None:
        """Records that a worker has disconnected."""
        self._left.add(worker_id)

    async def save(self, connected: Iterable[SeenWorker]) -> None:
        """Saves the workers that are here, and forgets those that have left."""
        now = time.monotonic()
        self._unary = {
            worker_id: (seen, worker)
            for worker_id, (seen, worker) in self._unary.items()
            if now - seen < SAVE_SECONDS * 2
        }
        workers = {worker.worker_id: worker for worker in connected}
        workers |= {worker_id: worker for worker_id, (_, worker) in self._unary.items()}
        left, self._left = self._left, set()
        if workers:
            await self._store.workers.save(list(workers.values()))
        if left:
            await self._store.workers.forget(list(left - workers.keys()))
