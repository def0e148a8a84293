"""Leases jobs for the workers of this replica and deals them out, as the board decides."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from jobsvc.dispatch.connected_worker import ConnectedWorker, Draining, Lost
from jobsvc.dispatch.in_doubt_claims import InDoubtClaims
from jobsvc.dispatch.planner import Claim, ClaimPlanner
from jobsvc.dispatch.presence import SAVE_SECONDS, Presence
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.subscription import Subscription
from jobsvc.dispatch.unary_leases import UnaryLeases
from jobsvc.domain.errors import (
    DatabaseUnavailable,
    QueueNotFound,
    WorkerDeaf,
    WorkerReplaced,
)
from jobsvc.domain.lease import LeasedJob, LeaseId, Slot
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.claims import Claimed
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

log = logging.getLogger(__name__)

#: A job that is due later than this is left to the poll; bounds the timers.
_FARTHEST_TIMER_SECONDS = 60.0
#: A claim needs about this many passes of the loop until the database has it.
_START_PASSES = 5


class Dispatcher:
    """All worker streams of this replica."""

    def __init__(self, store: Store, catalog: Catalog, hints: Hints, settings: Settings) -> None:
        self._store = store
        self._catalog = catalog
        self._hints = hints
        self._settings = settings
        #: Leases on their way back to their queues.
        self.returns = Redelivery(store, hints)
        #: Leases for those who have no stream.
        self.calls = UnaryLeases(store, hints, self.returns)
        #: Who is here, for those who ask.
        self.presence = Presence(store)
        self._board = ClaimPlanner()
        self._streams: dict[Subscription, ConnectedWorker] = {}
        self._awake = asyncio.Event()
        self._timers: dict[tuple[str, int], asyncio.TimerHandle] = {}
        self._looks: dict[str, asyncio.TimerHandle] = {}
        self._doubts = InDoubtClaims(store.leases, self.returns)
        #: Leases that the database did not know when it was asked last.
        self._suspects: set[LeaseId] = set()
        self._draining = False
        self._lessened = asyncio.Event()

    # What others tell it.

    def ready(self, queues: Iterable[str]) -> None:
        """Says that queues may have a job that is ready."""
        if self._board.wake(queues):
            self._awake.set()

    def due(self, queue: str, delay_seconds: float) -> None:
        """Says that a queue has a job that becomes ready after a delay."""
        if delay_seconds > _FARTHEST_TIMER_SECONDS:
            return
        loop = asyncio.get_running_loop()
        # A hundredth of a second is close enough, and bounds the timers of a queue.
        key = (queue, int((loop.time() + delay_seconds) * 100) + 1)
        if key not in self._timers:
            self._timers[key] = loop.call_at(key[1] / 100, self._ring, key)

    def _ring(self, key: tuple[str, int]) -> None:
        del self._timers[key]
        self._hints.tell(ready=[key[0]])

    def _look_at(self, queue: str, moment: float) -> None:
        """Wakes a queue here at a moment of the monotonic clock."""
        if queue not in self._looks:
            delay = moment - time.monotonic()
            self._looks[queue] = asyncio.get_running_loop().call_later(delay, self._look, queue)

    def _look(self, queue: str) -> None:
        del self._looks[queue]
        self.ready((queue,))

    def room(self) -> None:
        """Says that a worker has room again."""
        self._awake.set()
        self._lessened.set()

    def lost(self, lease_ids: Iterable[LeaseId], reason: str) -> None:
        """Tells the workers here that they have lost leases."""
        gone = set(lease_ids)
        for stream in self._streams.values():
            of_it = [lease_id for lease_id in gone if lease_id in stream.held]
            if of_it:
                stream.drop(of_it)
                stream.tell(Lost(of_it, reason))
                self.room()

    def over(self, lease_ids: Collection[LeaseId], reporter: ConnectedWorker | None) -> None:
        """Says that leases are over, by whichever way their outcomes came: there is room again.

        Most are held by `reporter`, the stream that reported them; a lease may also be reported
        by a call, or over the worker's next stream.
        """
        elsewhere = lease_ids if reporter is None else reporter.drop(lease_ids)
        if elsewhere:
            for stream in self._streams.values():
                stream.drop(elsewhere)
        self.room()

    # Streams.

    def replace(self, worker_id: str) -> None:
        """Ends the streams of a worker that is about to join again, unless they drain."""
        for other in list(self._streams.values()):
            if other.worker_id == worker_id and not other.draining:
                other.end(WorkerReplaced("another stream of this worker took over"))
                self._take_back(other, [job.id for job in other.undelivered])
                self._take_out(other)
                if other.subscription.unary:
                    # Of a claim that is under way it would not hear any more.
                    other.changed.set()

    def join(self, stream: ConnectedWorker) -> None:
        """Takes a stream in."""
        self.presence.came(stream.worker_id)
        self._streams[stream.subscription] = stream
        self._board.join(stream.subscription)
        self._awake.set()
        if self._draining:
            self._drain(stream)

    def leave(self, stream: ConnectedWorker) -> None:
        """Takes a stream out. Its leases run on."""
        if stream.subscription in self._streams:
            self._take_out(stream)
            self.presence.left(stream.worker_id)
            self._lessened.set()

    def _take_out(self, stream: ConnectedWorker) -> None:
        del self._streams[stream.subscription]
        self._board.leave(stream.subscription)

    def drain(self) -> None:
        """No new claims from now on; workers are told to go elsewhere."""
        self._draining = True
        for stream in self._streams.values():
            self._drain(stream)

    async def until_idle(self) -> None:
        """Waits until no worker here holds a lease any more, or is about to."""
        while any(s.held or s.subscription.reserved for s in self._streams.values()):
            self._lessened.clear()
            await self._lessened.wait()

    def dismiss(self) -> None:
        """Ends the streams of workers that have not left, each after its last answer."""
        for stream in self._streams.values():
            stream.dismiss()

    def _drain(self, stream: ConnectedWorker) -> None:
        stream.draining = True
        stream.subscription.window = 0
        self._take_back(stream, [job.id for job in stream.undelivered])
        stream.tell(Draining(self._settings.drain_seconds))

    def _take_back(self, stream: ConnectedWorker, lease_ids: Sequence[LeaseId]) -> None:
        """Puts back what a stream has not sent yet."""
        if lease_ids:
            stream.drop(lease_ids)
            self.room()
            self.returns.put_back(lease_ids, unsent=True)

    # Claims.

    async def run(self) -> None:
        """Claims and deals until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(self._settings.poll_interval_seconds, self._poll))
            tasks.create_task(self._every(1.0, self._check_slow))
            tasks.create_task(
                self._every(self._settings.extend_interval_seconds / 2, self._check_held)
            )
            tasks.create_task(self._every(SAVE_SECONDS, self._save_workers))
            tasks.create_task(self.returns.run())
            while True:
                await self._awake.wait()
                self._awake.clear()
                if not self._draining:
                    for claim in self._board.plan(time.monotonic()):
                        tasks.create_task(self._claim(claim))

    async def lease_seconds(self, queue: str, asked: float | None) -> float:
        """How long a lease of a queue runs: as asked, as the queue says, or the default.

        Raises:
            QueueNotFound: there is no such queue.
        """
        policy = (await self._catalog.queue(queue)).policy
        return asked or policy.lease_seconds or self._settings.lease_seconds

    async def _claim(self, claim: Claim) -> None:
        claimed: Claimed | None = None
        try:
            seconds = await self.lease_seconds(claim.queue, None)
            slot_of = {s: Slot(s.worker_id, s.lease_seconds or seconds) for s in set(claim.slots)}
            slots = [slot_of[s] for s in claim.slots]
            claimed = await self._store.claims.claim(claim.queue, slots, claim.begin)
        except QueueNotFound:
            pass  # Removed while a worker is subscribed to it: nothing to lease.
        except DatabaseUnavailable:
            for subscription in claim.slots:
                if subscription in self._streams and not subscription.unary:
                    self._doubts.raise_of(subscription.worker_id)
        if claimed is None:
            self._board.failed(claim)
            self._deal(claim, ())
            return
        now = time.monotonic()
        wake_time = self._board.arrived(claim, claimed.count, claimed.size, claimed.last, now)
        if wake_time is not None and wake_time > now:
            self._look_at(claim.queue, wake_time)
        elif wake_time is not None:
            self.ready((claim.queue,))
            if claimed.count and self._board.has_room(claim.queue):
                # The next one runs in the database while these jobs are read and dealt out.
                for _ in range(_START_PASSES):
                    await asyncio.sleep(0)
        jobs = claimed.jobs()
        if jobs:
            self._hints.tell([job.id.job_id for job in jobs])
        self._deal(claim, jobs)

    def _deal(self, claim: Claim, jobs: Sequence[LeasedJob]) -> None:
        self._board.settle(claim, len(jobs))
        now = time.monotonic()
        dealt: dict[Subscription, list[LeasedJob]] = {}
        for subscription in claim.slots[len(jobs) :]:
            if subscription.window == 0 and subscription in self._streams:
                self._streams[subscription].changed.set()
        for subscription, job in zip(claim.slots, jobs, strict=False):
            dealt.setdefault(subscription, []).append(job)
        unreached: list[LeaseId] = []
        for subscription, part in dealt.items():
            stream = self._streams.get(subscription)
            if stream is None:
                unreached += [job.id for job in part]
            else:
                stream.deal(part, now)
                if stream.draining:
                    self._take_back(stream, [job.id for job in part])
        self.room()
        self.returns.put_back(unreached, unsent=True)

    # Backstops.

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except DatabaseUnavailable:
                continue

    async def _poll(self) -> None:
        await self._doubts.settle(self._streams.values())
        hungry = self._board.hungry()
        if hungry:
            ready = await self._store.claims.ready(hungry)
            self._board.rescan(ready)
            self.ready(ready)

    async def _check_held(self) -> None:
        """Notices leases that were settled or rescued by way of another replica: they take up room
        here. Two looks, so that an outcome on its way is not announced as lost."""
        suspects, self._suspects = self._suspects, set()
        for stream in list(self._streams.values()):
            asked = list(stream.held)
            current = await self._store.leases.current(asked)
            gone = [i for i in asked if i not in current and i in stream.held]
            self._suspects.update(i for i in gone if i not in suspects)
            self.lost([i for i in gone if i in suspects], "the lease is not current any more")

    async def _check_slow(self) -> None:
        now = time.monotonic()
        for stream in list(self._streams.values()):
            overdue = stream.overdue(now)
            if overdue:
                # It would get them again: what it holds does not show that it reads nothing.
                stream.subscription.is_stuck = True
            self._take_back(stream, overdue)
            since = stream.silent_since()
            if since is not None and now - since > self._settings.acknowledge_seconds:
                stream.end(WorkerDeaf("dispatched jobs were not acknowledged in time"))

    async def _save_workers(self) -> None:
        await self.presence.save([stream.seen() for stream in self._streams.values()])
