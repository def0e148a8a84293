"""The workers that are connected to this replica: they join, drain and leave, and lose leases."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from jobsvc.dispatch.births import Births
from jobsvc.dispatch.cancel_notices import CancelNotices
from jobsvc.dispatch.claim_loop import ClaimLoop
from jobsvc.dispatch.connected_worker import ConnectedWorker, Draining, Lost
from jobsvc.dispatch.deaf_workers import DeafWorkers
from jobsvc.dispatch.in_doubt_claims import InDoubtClaims
from jobsvc.dispatch.lease_duration import LeaseDuration
from jobsvc.dispatch.presence import SAVE_SECONDS, Presence
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.retirement import CHECK_SECONDS, Retirement
from jobsvc.dispatch.subscription import Subscription
from jobsvc.dispatch.worker_log import WorkerLog
from jobsvc.domain.errors import WorkerDeaf, WorkerReplaced
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.outages import LATE_SECONDS
from jobsvc.domain.stream_age import drain_time
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.repeat import repeat
from jobsvc.store.store import Store
from jobsvc.telemetry.catalogue import LEASES_HELD, WORKER_STREAMS
from jobsvc.telemetry.measurements import Measurements

_SLOW_CHECK_SECONDS = 1.0
_AGE_CHECK_SECONDS = 1.0
_SERVER_GOES = "the server is about to go"
_STREAM_IS_OLD = "this stream is as old as it may be"


class Dispatcher:
    """Connects workers to the claims that bring their jobs."""

    def __init__(
        self,
        store: Store,
        lease_duration: LeaseDuration,
        hints: Hints,
        redelivery: Redelivery,
        in_doubt: InDoubtClaims,
        presence: Presence,
        worker_log: WorkerLog,
        retirement: Retirement,
        settings: Settings,
        measurements: Measurements | None = None,
    ) -> None:
        self._store = store
        self._redelivery = redelivery
        self._in_doubt = in_doubt
        self._presence = presence
        self._worker_log = worker_log
        self._settings = settings
        self._workers: dict[Subscription, ConnectedWorker] = {}
        self._retirement = retirement
        retirement.watch(self._workers, self._note_retired)
        self._capacity_freed = asyncio.Event()
        self._claims = ClaimLoop(
            store, lease_duration, hints, redelivery, in_doubt, self._workers, self.capacity_freed
        )
        self.births = Births(store, lease_duration, self._claims)
        self._cancel_notices = CancelNotices(store.leases, self._workers.values)
        self._draining = False
        #: Leases that were not current at the last check.
        self._suspects: set[LeaseId] = set()
        self._slow_check_time = time.monotonic()
        self._deaf = DeafWorkers()
        if measurements is not None:
            measurements.gauge(WORKER_STREAMS, lambda: [((), len(self._with_stream()))])
            measurements.gauge(
                LEASES_HELD, lambda: [((), sum(len(w.leases) for w in self._with_stream()))]
            )

    async def run(self) -> None:
        """Claims, deals and checks until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for seconds, check in (
                (self._settings.poll_interval_seconds, self._poll),
                (_SLOW_CHECK_SECONDS, self._check_slow),
                (_AGE_CHECK_SECONDS, self._check_ages),
                (self._settings.extend_interval_seconds / 2, self._check_leases),
                (SAVE_SECONDS, self._save_presence),
                (CHECK_SECONDS, self._retirement.check),
            ):
                tasks.create_task(_every(seconds, check))
            tasks.create_task(self._claims.run())
            tasks.create_task(self._cancel_notices.run())

    # Events.

    def wake(self, queues: Iterable[str]) -> None:
        """Says that queues may have a job that is ready."""
        self._claims.wake(queues)

    def cancels_requested(self, lease_ids: Iterable[str]) -> None:
        """Tells the workers here which of their jobs are to be cancelled."""
        self._cancel_notices.add(lease_ids)

    def capacity_freed(self) -> None:
        """Says that a worker may take more."""
        self._claims.capacity_freed()
        self._capacity_freed.set()

    def leases_lost(self, lease_ids: Iterable[LeaseId], reason: str) -> None:
        """Tells the workers here that they have lost leases."""
        lost = set(lease_ids)
        for worker in self._workers.values():
            own = [lease_id for lease_id in lost if lease_id in worker.leases]
            if own:
                worker.drop(own)
                worker.notify(Lost(own, reason))
                self.capacity_freed()

    def leases_ended(
        self, lease_ids: Collection[LeaseId], reporter: ConnectedWorker | None
    ) -> None:
        """Frees the capacity of leases that have ended.

        Most are held by `reporter`, whose stream reported them; a lease may also be reported
        by a unary call, or over the worker's next stream.
        """
        elsewhere = lease_ids if reporter is None else reporter.drop(lease_ids)
        if elsewhere:
            for worker in self._workers.values():
                worker.drop(elsewhere)
        self.capacity_freed()

    # Workers come and go.

    def join(self, worker: ConnectedWorker) -> None:
        """Adds a worker."""
        self._presence.came(worker.worker_id)
        trial_time = self._deaf.trial_time(worker.worker_id)
        if trial_time is not None and not worker.subscription.unary:
            worker.begin_trial(trial_time)
            worker.open_trial(time.monotonic())
        if not worker.subscription.unary:
            worker.drain_time = drain_time(
                time.monotonic(), self._settings.max_worker_stream_age_seconds, random.random()
            )
        self._workers[worker.subscription] = worker
        self._claims.join(worker.subscription)
        if not worker.subscription.unary:
            self._worker_log.connected(worker)
        self._retirement.retire_if_due(worker)
        if self._draining:
            self._drain(worker, _SERVER_GOES)

    def hears(self, worker: ConnectedWorker) -> None:
        """Says that a worker on trial has acknowledged, extended or reported something."""
        self._deaf.forgive(worker.worker_id)
        worker.pass_trial()
        self.capacity_freed()

    def set_window(self, worker: ConnectedWorker, window: int) -> None:
        """Changes how many jobs a worker takes."""
        before = worker.subscription.window
        worker.set_window(window)
        if before and not worker.subscription.window:
            self._worker_log.drains(worker)
        self.capacity_freed()

    def leave(self, worker: ConnectedWorker, error: BaseException | None = None) -> None:
        """Removes a worker whose stream has ended, by `error` if not by itself. Its leases run
        on."""
        if not worker.subscription.unary:
            self._worker_log.ended(worker, error)
        if worker.subscription in self._workers:
            self._remove(worker)
            self._presence.left(worker.worker_id)
            self._capacity_freed.set()

    def replace(self, worker_id: str) -> None:
        """Ends the streams of a worker that is about to join again, unless they drain."""
        for other in list(self._workers.values()):
            if other.worker_id == worker_id and other.draining:
                other.hand_over()
            elif other.worker_id == worker_id:
                other.end(WorkerReplaced("another stream of this worker took over"))
                self._redeliver_unsent(other, [job.id for job in other.undelivered])
                self._remove(other)
                if other.subscription.unary:
                    # The claim that it may wait for does not reach it any more.
                    other.changed.set()

    def _note_retired(self, worker: ConnectedWorker) -> None:
        self._redeliver_unsent(worker, [job.id for job in worker.undelivered])
        if not worker.subscription.unary:
            self._worker_log.drains(worker)

    def _remove(self, worker: ConnectedWorker) -> None:
        del self._workers[worker.subscription]
        self._claims.leave(worker.subscription)

    # The end of this replica.

    def drain(self) -> None:
        """Ends new claims, and tells workers to go elsewhere."""
        self._draining = True
        for worker in self._workers.values():
            self._drain(worker, _SERVER_GOES)

    def _with_stream(self) -> list[ConnectedWorker]:
        """The workers here that are no unary call. May be called by any thread."""
        return [w for w in list(self._workers.values()) if not w.subscription.unary]

    def held(self) -> tuple[int, int]:
        """Returns how many workers here hold leases, and how many leases those are."""
        counts = [len(worker.leases) for worker in self._workers.values() if worker.leases]
        return len(counts), sum(counts)

    async def until_idle(self) -> None:
        """Waits until no worker here holds a lease any more, or is about to."""
        while any(w.leases or w.subscription.reserved for w in self._workers.values()):
            self._capacity_freed.clear()
            await self._capacity_freed.wait()

    def dismiss(self) -> None:
        """Ends the streams of workers that have not left, each after its last response."""
        for worker in self._workers.values():
            worker.dismiss(f"{_SERVER_GOES}; connect anew")

    def _drain(self, worker: ConnectedWorker, reason: str) -> None:
        worker.draining = True
        worker.subscription.window = 0  # Claims nothing from now on.
        self._redeliver_unsent(worker, [job.id for job in worker.undelivered])
        worker.notify(Draining(self._settings.drain_seconds, reason))

    def _redeliver_unsent(self, worker: ConnectedWorker, lease_ids: Sequence[LeaseId]) -> None:
        if lease_ids:
            worker.drop(lease_ids)
            self.capacity_freed()
            self._redelivery.schedule(lease_ids, unsent=True)

    # Checks.

    async def _poll(self) -> None:
        await self._in_doubt.resolve(self._workers.values())
        await self._claims.poll()

    async def _check_ages(self) -> None:
        """Drains the streams that are old enough, and ends those that have not left in time."""
        now = time.monotonic()
        for worker in self._workers.values():
            if now >= worker.drain_time and not worker.draining:
                worker.drain_time = now
                self._drain(worker, _STREAM_IS_OLD)
            elif now >= worker.drain_time + self._settings.drain_seconds:
                worker.dismiss(f"{_STREAM_IS_OLD}; connect anew")

    async def _check_slow(self) -> None:
        """Redelivers what slow readers were not sent in time, and ends streams of deaf workers."""
        self._worker_log.tell_missed()
        now = time.monotonic()
        stood_still = now - self._slow_check_time > _SLOW_CHECK_SECONDS + LATE_SECONDS
        self._slow_check_time = now
        for worker in list(self._workers.values()):
            if stood_still:
                worker.begin_anew(now)
            overdue = worker.overdue(now)
            if overdue:
                # Otherwise the worker would get the same jobs again: its window has room for them.
                worker.subscription.is_stuck = True
            self._redeliver_unsent(worker, overdue)
            if worker.open_trial(now):
                self.capacity_freed()
            since = worker.silent_since()
            is_silent = since is not None and now - since > self._settings.acknowledge_seconds
            if is_silent and worker.error is None:
                self._deaf.add(worker.worker_id, now)
                worker.end(WorkerDeaf("dispatched jobs were not acknowledged in time"))

    async def _check_leases(self) -> None:
        """Finds leases that were settled or rescued by way of another replica: they use capacity
        here. Two checks, so that an outcome on its way is not announced as lost."""
        suspects, self._suspects = self._suspects, set()
        for worker in list(self._workers.values()):
            asked = list(worker.leases)
            current = await self._store.leases.current(asked)
            gone = [i for i in asked if i not in current and i in worker.leases]
            self._suspects.update(i for i in gone if i not in suspects)
            self.leases_lost(
                [i for i in gone if i in suspects], "the lease is not current any more"
            )

    async def _save_presence(self) -> None:
        await self._presence.save([worker.seen() for worker in self._workers.values()])


async def _every(seconds: float, check: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(seconds)
    await repeat(seconds, check)
