"""Presence: which workers this replica sees, for the other replicas and for operators."""

import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from jobsvc.domain.worker import SeenWorker
from jobsvc.store.store import Store

#: How often presence is saved; a worker without a unary call for twice as long is left out.
SAVE_SECONDS = 2.0
#: Workers seen by unary calls that are remembered; beyond, the one that called longest ago goes.
MAX_UNARY = 2000


class Presence:
    """Workers seen on streams or by unary calls."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._unary: dict[str, tuple[float, SeenWorker]] = {}
        self._left: set[str] = set()

    def saw(self, worker: SeenWorker) -> None:
        """Records a unary call of a worker."""
        self._unary.pop(worker.worker_id, None)
        self._unary[worker.worker_id] = (self._clock(), replace(worker, unary=True))
        if len(self._unary) > MAX_UNARY:
            gone = next(iter(self._unary))
            del self._unary[gone]
            self._left.add(gone)

    def came(self, worker_id: str) -> None:
        """Records that a worker has connected."""
        self._left.discard(worker_id)

    def left(self, worker_id: str) -> None:
        """Records that a worker has disconnected."""
        self._left.add(worker_id)

    async def save(self, connected: Iterable[SeenWorker]) -> None:
        """Saves the workers that are here, and forgets those that have left."""
        oldest = self._clock() - SAVE_SECONDS * 2
        silent = {worker_id for worker_id, (seen, _) in self._unary.items() if seen <= oldest}
        self._unary = {i: seen for i, seen in self._unary.items() if i not in silent}
        workers = {worker.worker_id: worker for worker in connected}
        workers |= {worker_id: worker for worker_id, (_, worker) in self._unary.items()}
        left, self._left = self._left | silent, set()
        if workers:
            await self._store.workers.save(list(workers.values()))
        if left:
            await self._store.workers.forget(list(left - workers.keys()))
