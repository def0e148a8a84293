"""Leases for unary calls, whose callers may leave at any moment."""

import asyncio
from collections.abc import Sequence

from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.domain.lease import LeasedJob, Slot
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store


class UnaryLeases:
    """Leases on behalf of calls; what a caller does not take goes back."""

    def __init__(self, store: Store, hints: Hints, returns: Redelivery) -> None:
        self._store = store
        self._hints = hints
        self._returns = returns
        self._leasing: set[asyncio.Task[None]] = set()

    async def lease(self, queue: str, slots: Sequence[Slot]) -> list[LeasedJob]:
        """Leases jobs that are ready, one for each slot at most, and makes that known.

        Raises:
            DatabaseUnavailable: nothing is known to be leased.
        """
        taken: asyncio.Future[list[LeasedJob]] = asyncio.get_running_loop().create_future()
        # Goes on when the caller is cancelled: what is leased must be known to be put back.
        task = asyncio.create_task(self._lease(queue, slots, taken))
        self._leasing.add(task)
        task.add_done_callback(self._leasing.discard)
        try:
            return await taken
        except asyncio.CancelledError:
            if not taken.cancelled() and taken.exception() is None:
                self._put_back(taken.result())
            raise

    async def until_done(self, seconds: float) -> None:
        """Waits, at most so long, until nothing is being leased any more."""
        if self._leasing:
            await asyncio.wait(self._leasing, timeout=seconds)

    async def _lease(
        self, queue: str, slots: Sequence[Slot], taken: asyncio.Future[list[LeasedJob]]
    ) -> None:
        try:
            jobs = await self._store.claims.lease(queue, slots)
        except Exception as error:
            if not taken.done():
                taken.set_exception(error)
            return
        if jobs:
            self._hints.tell([job.id.job_id for job in jobs])
        if taken.done():
            self._put_back(jobs)
        else:
            taken.set_result(jobs)

    def _put_back(self, jobs: Sequence[LeasedJob]) -> None:
        self._returns.put_back([job.id for job in jobs], unsent=True)
