"""Claims that may have been committed without our hearing of it: their leases go back soon."""

from collections.abc import Collection

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.domain.lease import LeaseId
from jobsvc.store.leases import LeaseStore


class InDoubtClaims:
    """The workers here that such claims were for."""

    def __init__(self, leases: LeaseStore, returns: Redelivery) -> None:
        self._leases = leases
        self._returns = returns
        #: With the leases that a worker did not hold when it was looked at; None before the first.
        self._of: dict[str, set[LeaseId] | None] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._of)

    def raise_of(self, worker_id: str) -> None:
        """Says that a claim for a worker seemed to fail."""
        self._of[worker_id] = None

    async def settle(self, streams: Collection[ConnectedWorker]) -> None:
        """Puts back what workers do not know that they hold; to be called once every poll.

        A worker that has gone elsewhere is seen to when it subscribes there.
        """
        if self._of:
            await self._returns.return_unsent()
        for worker_id in list(self._of):
            leases = await self._leases.of_worker(worker_id)
            own = [stream for stream in streams if stream.worker_id == worker_id]
            before = self._of[worker_id] or set()
            unheld = set(leases).difference(*(s.held for s in own)) if own else set()
            claiming = any(stream.subscription.reserved for stream in own)
            # What is being claimed right now looks the same, but not at two polls.
            lost = unheld & before if claiming else unheld
            self._of[worker_id] = unheld
            await self._returns.give_back(list(lost))
            # Unless there is more to look at again, or another claim has failed meanwhile.
            if self._of[worker_id] is unheld and unheld == lost:
                del self._of[worker_id]
