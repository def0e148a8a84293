"""In-doubt claims: they seemed to fail, and may have been committed all the same. Their leases go
back to their queues soon."""

from collections.abc import Collection

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.domain.lease import LeaseId
from jobsvc.store.store import Store


class InDoubtClaims:
    """The workers of this replica that had a claim in doubt."""

    def __init__(self, store: Store, redelivery: Redelivery) -> None:
        self._store = store
        self._redelivery = redelivery
        #: Leases that each worker did not know at the last check; None before the first check.
        self._unknown_to: dict[str, set[LeaseId] | None] = {}

    def __bool__(self) -> bool:
        """Whether any claim is in doubt."""
        return bool(self._unknown_to)

    def add(self, worker_id: str) -> None:
        """Records that a claim for a worker seemed to fail."""
        self._unknown_to[worker_id] = None

    async def resolve(self, workers: Collection[ConnectedWorker]) -> None:
        """Redelivers leases that these workers do not know of; to be called once every poll.

        The leases of a worker that has gone elsewhere are checked when it subscribes there.
        """
        for worker_id in list(self._unknown_to):
            leases = await self._store.leases.of_worker(worker_id)
            own = [worker for worker in workers if worker.worker_id == worker_id]
            before = self._unknown_to[worker_id] or set()
            unknown = set(leases).difference(*(worker.leases for worker in own)) if own else set()
            is_claiming = any(worker.subscription.reserved for worker in own)
            # The leases of a claim under way are unknown too, but not at two polls.
            lost = unknown & before if is_claiming else unknown
            self._unknown_to[worker_id] = unknown
            await self._redelivery.redeliver_now(list(lost))
            # Unless there is more to check again, or another claim has failed meanwhile.
            if self._unknown_to[worker_id] is unknown and unknown == lost:
                del self._unknown_to[worker_id]
