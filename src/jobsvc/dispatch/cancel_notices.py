"""Tells workers of this replica at once that a job which they hold is to be cancelled. Should that
fail, the answer to their next extension says it."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from jobsvc.dispatch.connected_worker import CancelRequested, ConnectedWorker
from jobsvc.domain.errors import DatabaseFailure
from jobsvc.domain.lease import LeaseId
from jobsvc.store.leases import LeaseStore

#: In one notice, which must fit into a message.
_MAX_LEASES = 1000
#: A claim may be about to deal a job that is cancelled already: it is looked for again then.
_AGAIN_SECONDS = 1.0


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
        if named and (unknown := self._note_held(named)):
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._note_held, unknown)

    def _note_held(self, named: Sequence[LeaseId]) -> list[LeaseId]:
        """Notes those that are held here, and returns the others."""
        held = {i for worker in self._workers() for i in named if i in worker.leases}
        if held:
            self._requested |= dict.fromkeys(held)
            self._added.set()
        return [lease_id for lease_id in named if lease_id not in held]

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
