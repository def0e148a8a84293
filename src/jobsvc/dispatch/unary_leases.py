"""Leases for unary calls, whose callers may leave at any moment."""

import asyncio
from collections.abc import Sequence

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.presence import Presence
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.retirement import Retirement
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.lease import LeasedJob, Slot
from jobsvc.domain.worker import SeenWorker
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store


class UnaryLeases:
    """Leases jobs on behalf of calls; jobs that a caller does not take go back."""

    def __init__(
        self,
        store: Store,
        hints: Hints,
        redelivery: Redelivery,
        dispatcher: Dispatcher,
        presence: Presence,
        retirement: Retirement,
    ) -> None:
        self._store = store
        self._hints = hints
        self._redelivery = redelivery
        self._dispatcher = dispatcher
        self._presence = presence
        self._retirement = retirement
        self._leasing: set[asyncio.Task[None]] = set()

    async def lease_ready(
        self, worker: SeenWorker, queues: Sequence[str], max_jobs: int, seconds: float
    ) -> list[LeasedJob]:
        """Leases jobs that are ready, from the queues in their order, each for `seconds`. A worker
        that is to take no more gets none.

        Raises:
            DatabaseUnavailable: nothing is known to be leased.
        """
        self._presence.saw(worker)
        jobs: list[LeasedJob] = []
        if worker.worker_id in self._retirement:
            return jobs
        for queue in queues:
            slots = [Slot(worker.worker_id, seconds)] * (max_jobs - len(jobs))
            if slots:
                try:
                    jobs += await self._lease_from(queue, slots)
                except BaseException:
                    self._redeliver_unsent(jobs)
                    raise
        return jobs

    async def wait_for_jobs(
        self,
        worker: SeenWorker,
        queues: Sequence[str],
        max_jobs: int,
        seconds: float,
        wait_seconds: float,
    ) -> list[LeasedJob]:
        """Waits for the first jobs in line with the workers that have a stream. Returns none if the
        wait is over, or another call or stream of this worker has replaced this one."""
        subscription = Subscription(
            worker.worker_id, dict.fromkeys(queues, 0), max_jobs, seconds, unary=True
        )
        connected = ConnectedWorker(subscription, worker)
        self._dispatcher.join(connected)
        try:
            try:
                async with asyncio.timeout(wait_seconds):
                    await connected.changed.wait()
            except TimeoutError:
                pass
            # Claims nothing from now on; a claim under way still brings jobs.
            subscription.window = 0
            while subscription.reserved and connected.error is None:
                connected.changed.clear()
                await connected.changed.wait()
            return connected.take(len(connected.undelivered))
        finally:
            self._dispatcher.leave(connected)
            self._redeliver_unsent(connected.undelivered)

    async def until_done(self, seconds: float) -> None:
        """Waits until nothing is being leased any more, for `seconds` at most."""
        if self._leasing:
            await asyncio.wait(self._leasing, timeout=seconds)

    async def _lease_from(self, queue: str, slots: Sequence[Slot]) -> list[LeasedJob]:
        taken: asyncio.Future[list[LeasedJob]] = asyncio.get_running_loop().create_future()
        # Goes on when the caller is cancelled: only a lease that is known can be redelivered.
        task = asyncio.create_task(self._lease(queue, slots, taken))
        self._leasing.add(task)
        task.add_done_callback(self._leasing.discard)
        try:
            return await taken
        except asyncio.CancelledError:
            if not taken.cancelled() and taken.exception() is None:
                self._redeliver_unsent(taken.result())
            raise

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
            self._redeliver_unsent(jobs)
        else:
            taken.set_result(jobs)

    def _redeliver_unsent(self, jobs: Sequence[LeasedJob]) -> None:
        self._redelivery.schedule([job.id for job in jobs], unsent=True)
