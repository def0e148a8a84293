"""Leases that never reached their workers go back to their queues, and use no attempt."""

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.domain.lease import LeaseId
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

log = logging.getLogger(__name__)

_RETURN_SECONDS = 0.5
_MAX_LEASES = 1000
#: Who is about to leave waits no longer for the database.
_FLUSH_SECONDS = 2.0


class _Due(NamedTuple):
    """Leases to put back from `when` on."""

    when: float
    lease_ids: list[LeaseId]
    unsent: bool


class Redelivery:
    """What is to be put back, each from its time on. `run` does it."""

    def __init__(self, store: Store, hints: Hints) -> None:
        self._store = store
        self._hints = hints
        self._unreached: list[_Due] = []
        self._returning = asyncio.Event()

    def put_back(
        self, lease_ids: Collection[LeaseId], after_seconds: float = 0.0, unsent: bool = False
    ) -> None:
        """Puts leases back that never reached their worker, unless they are confirmed by then.

        Those that were never sent go back to where they stood, and as often as it takes.
        """
        if lease_ids:
            when = time.monotonic() + after_seconds
            self._unreached.append(_Due(when, list(lease_ids), unsent))
            self._returning.set()

    async def reclaim(self, worker_id: str, held: Iterable[LeaseId]) -> None:
        """Puts back what the database thinks a worker holds, and the worker says it does not."""
        await self.return_unsent()
        listed = set(held)
        leases = await self._store.leases.of_worker(worker_id)
        unlisted = [lease_id for lease_id in leases if lease_id not in listed]
        await self.give_back(unlisted, confirmed_too=True)

    async def return_unsent(self) -> None:
        """Puts back now what does not count, before anybody who looks for it counts it."""
        await self._return([item for item in self._unreached if item.unsent])

    async def run(self) -> None:
        """Puts back what is due, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETURN_SECONDS if self._unreached else None):
                    await self._returning.wait()
            self._returning.clear()
            now = time.monotonic()
            try:
                await self._return([item for item in self._unreached if item.when <= now])
            except DatabaseUnavailable:
                await asyncio.sleep(_RETURN_SECONDS)

    async def flush(self) -> None:
        """Puts back at once whatever was to be put back later: nobody will be there to do it."""
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._return(self._unreached)
        except (DatabaseUnavailable, TimeoutError):
            count = sum(len(item.lease_ids) for item in self._unreached)
            log.warning("%d leases that never reached their workers are left to lapse", count)

    async def _return(self, due: Sequence[_Due]) -> None:
        for some in _batches(due):
            lease_ids = [lease_id for item in some for lease_id in item.lease_ids]
            await self.give_back(lease_ids, unsent=some[0].unsent)
            # Not before: if `run` is cancelled meanwhile, the last `flush` does it once more.
            done = set(map(id, some))
            self._unreached = [item for item in self._unreached if id(item) not in done]

    async def give_back(
        self, lease_ids: Sequence[LeaseId], confirmed_too: bool = False, unsent: bool = False
    ) -> None:
        """Puts leases back now, and says so."""
        if lease_ids:
            back = await self._store.leases.redeliver(lease_ids, confirmed_too, unsent)
            self._hints.tell([lease.job_id for lease in back], dict.fromkeys(back.values()))


def _batches(due: Sequence[_Due]) -> Iterator[list[_Due]]:
    """What goes into one statement: all of a kind, and no more than that takes little time."""
    for unsent in (True, False):
        some: list[_Due] = []
        size = 0
        for item in due:
            if item.unsent is unsent:
                some.append(item)
                size += len(item.lease_ids)
                if size >= _MAX_LEASES:
                    yield some
                    some, size = [], 0
        if some:
            yield some
