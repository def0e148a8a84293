"""Workers that were told to finish what they hold and take no more. The database remembers them, so
that it is true of every stream of such a process, whichever replica it connects to."""

from collections.abc import Callable, Mapping

from jobsvc.dispatch.connected_worker import ConnectedWorker, Retiring
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.errors import WorkerNotFound
from jobsvc.store.store import Store

CHECK_SECONDS = 0.5


class Retirement:
    """Retires the workers of this replica."""

    def __init__(self, store: Store) -> None:
        self._store = store
        #: The reason of each worker of any replica.
        self._reasons: Mapping[str, str] = {}
        self._workers: Mapping[Subscription, ConnectedWorker] = {}
        self._on_retired: Callable[[ConnectedWorker], None] = lambda _: None

    def watch(
        self,
        workers: Mapping[Subscription, ConnectedWorker],
        on_retired: Callable[[ConnectedWorker], None],
    ) -> None:
        """Retires `workers`, those that are connected now, as it comes to know of it; the caller
        keeps them up to date."""
        self._workers = workers
        self._on_retired = on_retired

    def __contains__(self, worker_id: str) -> bool:
        return worker_id in self._reasons

    async def drain(self, worker_id: str, reason: str) -> None:
        """Retires a worker: at once if it is here, else as soon as its replica looks.

        Raises:
            WorkerNotFound: no replica has seen it in the last minute.
        """
        if not await self._store.workers.drain(worker_id, reason):
            raise WorkerNotFound(worker_id)
        await self.check()

    async def check(self) -> None:
        """Looks for workers that are to be retired."""
        self._reasons = await self._store.workers.drained()
        if self._reasons:
            for worker in list(self._workers.values()):
                self.retire_if_due(worker)

    def retire_if_due(self, worker: ConnectedWorker) -> None:
        """Retires a worker if it is to be, and has not been."""
        reason = self._reasons.get(worker.worker_id)
        if reason is None or worker.retired:
            return
        worker.retired = True
        worker.subscription.window = 0
        if not worker.subscription.unary:
            worker.notify(Retiring(reason))
        self._on_retired(worker)
