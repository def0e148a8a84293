"""The life of a claim: planned, claimed in the database, dealt, released."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import compress

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.in_doubt_claims import InDoubtClaims
from jobsvc.dispatch.lease_duration import LeaseDuration
from jobsvc.dispatch.planner import Claim, ClaimPlanner, FollowUp
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.errors import DatabaseFailure, QueueNotFound
from jobsvc.domain.job import NewStatus
from jobsvc.domain.lease import LeasedJob, LeaseId, Slot
from jobsvc.store.claims import Claimed
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

log = logging.getLogger(__name__)

#: Passes of the event loop that a claim needs until the database has it, about.
_START_PASSES = 5


class ClaimLoop:
    """Claims jobs for the workers of this replica and deals them out, as the planner decides."""

    def __init__(
        self,
        store: Store,
        lease_duration: LeaseDuration,
        hints: Hints,
        redelivery: Redelivery,
        in_doubt: InDoubtClaims,
        workers: Mapping[Subscription, ConnectedWorker],
        on_released: Callable[[], None],
    ) -> None:
        """`workers` are those connected now; the caller keeps it up to date. `on_released` is
        called after the capacity that a claim reserved has been released."""
        self._store = store
        self._lease_duration = lease_duration
        self._hints = hints
        self._redelivery = redelivery
        self._in_doubt = in_doubt
        self._workers = workers
        self._on_released = on_released
        self._planner = ClaimPlanner()
        self._plan_again = asyncio.Event()
        self._rescan_timers: dict[str, asyncio.TimerHandle] = {}

    # Reasons to plan.

    def join(self, subscription: Subscription) -> None:
        """Claims for a subscription from now on."""
        self._planner.join(subscription)
        self._plan_again.set()

    def leave(self, subscription: Subscription) -> None:
        """Claims no more for a subscription."""
        self._planner.leave(subscription)

    def wake(self, queues: Iterable[str]) -> None:
        """Says that queues may have a job that is ready."""
        if self._planner.wake(queues):
            self._plan_again.set()

    def capacity_freed(self) -> None:
        """Says that a worker may take more."""
        self._plan_again.set()

    async def poll(self) -> None:
        """Asks the database which queues with free capacity have a ready job, and rescans
        those."""
        queues = self._planner.with_capacity()
        if queues:
            ready = await self._store.claims.ready(queues)
            self._planner.rescan(ready)
            self.wake(ready)

    # Jobs that are born leased.

    def is_idle(self, queue: str) -> bool:
        """Whether `reserve` would reserve anything."""
        return self._planner.is_idle(queue)

    def reserve(self, queue: str, count: int, size: int) -> Claim | None:
        """Reserves the slots of jobs that are about to be created, as the planner decides. The
        claim must be ended by `born` or `not_born`, whatever happens."""
        return self._planner.reserve(queue, count, size, time.monotonic())

    def born(
        self, claim: Claim, jobs: Sequence[LeasedJob | None], known: Mapping[str, NewStatus]
    ) -> None:
        """Hands jobs that were created with a lease to the workers of their slots; None for a slot
        without one. `known` has their status."""
        is_used = [job is not None for job in jobs]
        unused = compress(claim.slots, [not used for used in is_used])
        claim = replace(claim, slots=[*compress(claim.slots, is_used), *unused])
        leased = [job for job in jobs if job is not None]
        if leased:
            self._hints.tell([job.id.job_id for job in leased], known=known)
        self._deal(claim, leased)
        self._planner.born(claim, len(leased))
        self._on_released()

    def not_born(self, claim: Claim, in_doubt: bool) -> None:
        """Ends a claim that has brought nothing, as far as is known; `in_doubt` if it may have."""
        if in_doubt:
            self._doubt(claim)
        self.born(claim, [None] * len(claim.slots), {})

    # A claim.

    async def run(self) -> None:
        """Plans, and runs the claims, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._plan_again.wait()
                self._plan_again.clear()
                for claim in self._planner.plan(time.monotonic()):
                    tasks.create_task(self._run_claim(claim))

    async def _run_claim(self, claim: Claim) -> None:
        claimed = await self._claim(claim)
        if claimed is None:
            self._planner.failed(claim)
            self._deal(claim, ())
        else:
            follow_up = self._planner.completed(
                claim, claimed.count, claimed.size, claimed.last, time.monotonic()
            )
            await self._follow_up(claim.queue, follow_up)
            jobs = claimed.jobs()
            log.debug("claimed %d of %d from %s", len(jobs), len(claim.slots), claim.queue)
            if jobs:
                self._hints.tell([job.id.job_id for job in jobs])
            self._deal(claim, jobs)
            self._planner.release(claim, len(jobs))
        self._on_released()

    async def _claim(self, claim: Claim) -> Claimed | None:
        """Claims in the database. None if that failed, or seemed to."""
        try:
            seconds = await self._lease_duration.seconds(claim.queue, None)
            slot_of = {s: Slot(s.worker_id, s.lease_seconds or seconds) for s in set(claim.slots)}
            slots = [slot_of[s] for s in claim.slots]
            return await self._store.claims.claim(claim.queue, slots, claim.begin)
        except QueueNotFound:
            pass  # Removed while a worker is subscribed to it: nothing to lease.
        except DatabaseFailure:
            self._doubt(claim)
        return None

    def _doubt(self, claim: Claim) -> None:
        for subscription in claim.slots:
            if subscription in self._workers and not subscription.unary:
                self._in_doubt.add(subscription.worker_id)

    async def _follow_up(self, queue: str, follow_up: FollowUp) -> None:
        """Arranges for the next claim of the queue."""
        if follow_up.claim_again:
            self._plan_again.set()
        if follow_up.has_capacity:
            # The next claim runs in the database while these jobs are read and dealt out.
            for _ in range(_START_PASSES):
                await asyncio.sleep(0)
        if follow_up.rescan_time is not None and queue not in self._rescan_timers:
            delay = follow_up.rescan_time - time.monotonic()
            self._rescan_timers[queue] = asyncio.get_running_loop().call_later(
                delay, self._rescan, queue
            )

    def _rescan(self, queue: str) -> None:
        del self._rescan_timers[queue]
        self.wake((queue,))

    def _deal(self, claim: Claim, jobs: Sequence[LeasedJob]) -> None:
        """Hands each job to the worker of its slot. Jobs for a worker that has left or is draining
        go back to their queue."""
        now = time.monotonic()
        for subscription in claim.slots[len(jobs) :]:
            if subscription.window == 0 and subscription in self._workers:
                # A unary call that waits for the end of this claim.
                self._workers[subscription].changed.set()
        dealt: dict[Subscription, list[LeasedJob]] = {}
        for subscription, job in zip(claim.slots, jobs, strict=False):
            dealt.setdefault(subscription, []).append(job)
        unreached: list[LeaseId] = []
        for subscription, part in dealt.items():
            worker = self._workers.get(subscription)
            if worker is not None:
                worker.deal(part, now)
                if worker.takes_none:
                    worker.drop([job.id for job in part])
            if worker is None or worker.takes_none:
                unreached += [job.id for job in part]
        self._redelivery.schedule(unreached, unsent=True)
