"""Who works through this replica, as it tells the others and whoever asks for a queue's workers."""

import time
from collections.abc import Iterable

from jobsvc.domain.worker import SeenWorker
from jobsvc.store.store import Store

#: How often to say so; a worker that makes no unary call for twice as long is not mentioned.
SAVE_SECONDS = 2.0


class Presence:
    """Workers that were seen here, by unary calls or on streams."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._unary: dict[str, tuple[float, SeenWorker]] = {}
        self._left: set[str] = set()

    def saw(self, worker: SeenWorker) -> None:
        """Notes a worker that makes unary calls."""
        self._unary[worker.worker_id] = (time.monotonic(), worker)

    def came(self, worker_id: str) -> None:
        """Notes that a worker has a stream."""
        self._left.discard(worker_id)

    def left(self, worker_id: str) -> None:
        """Notes that a stream of a worker has ended."""
        self._left.add(worker_id)

    async def save(self, on_streams: Iterable[SeenWorker]) -> None:
        """Writes down who is here, and that those who have left are not."""
        now = time.monotonic()
        self._unary = {
            worker_id: (seen, worker)
            for worker_id, (seen, worker) in self._unary.items()
            if now - seen < SAVE_SECONDS * 2
        }
        workers = {worker.worker_id: worker for worker in on_streams}
        workers |= {worker_id: worker for worker_id, (_, worker) in self._unary.items()}
        left, self._left = self._left, set()
        if workers:
            await self._store.workers.save(list(workers.values()))
        if left:
            await self._store.workers.forget(list(left - workers.keys()))
