"""Tells workers of this replica at once that a job which they hold is to be cancelled. Should that
fail, the answer to their next extension says it."""

import asyncio
from collections.abc import Callable, Iterable

from jobsvc.dispatch.connected_worker import CancelRequested, ConnectedWorker
from jobsvc.domain.errors import DatabaseFailure
from jobsvc.domain.lease import LeaseId
from jobsvc.store.leases import LeaseStore

#: In one notice, which must fit into a message.
_MAX_LEASES = 1000


class CancelNotices:
    """Turns hints about requested cancellations into notices, which say why."""

    def __init__(
        self, leases: LeaseStore, workers: Callable[[], Iterable[ConnectedWorker]]
    ) -> None:
        self._leases = leases
        self._workers = workers
        self._requested: dict[LeaseId, None] = {}
        self._added = asyncio.Event()

    def add(self, lease_ids: Iterable[str]) -> None:
        """Notes that the jobs of these leases are to be cancelled; most are held elsewhere."""
        named = [LeaseId(lease_id) for lease_id in lease_ids]
        for worker in self._workers() if named else ():
            self._requested |= dict.fromkeys(i for i in named if i in worker.leases)
        if self._requested:
            self._added.set()

    async def run(self) -> None:
        """Reads why, and notifies, until cancelled."""
        while True:
            await self._added.wait()
            lease_ids = list(self._requested)[:_MAX_LEASES]
            for lease_id in lease_ids:
                del self._requested[lease_id]
            if not self._requested:
                self._added.clear()
            try:
                found = await self._leases.cancel_requests(lease_ids)
            except DatabaseFailure:
                continue
            for worker in self._workers():
                own = {i: extended for i, extended in found.items() if i in worker.leases}
                if own:
                    worker.notify(CancelRequested(own))
