"""Bulk operations go on: whichever replica claims one does its next batch, until none is left."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from jobsvc.domain.bulk_operation import BulkOperation, Progress, progress
from jobsvc.domain.bulk_pace import Counters, Traffic, batch_jobs, next_time, share_of
from jobsvc.jobs.bulk_batch import BulkBatch, Tally
from jobsvc.settings import Settings
from jobsvc.store.bulk_operations import Claimed
from jobsvc.store.hints import Hints
from jobsvc.store.repeat import repeat
from jobsvc.store.store import Store

log = logging.getLogger(__name__)

#: How soon an operation looks again whether the queue that it waits for has room.
_FULL_SECONDS = 1.0


class BulkRunner:
    """Runs the bulk operations of the installation, one batch at a time.

    A batch, and how far the operation has come with it, are one transaction, which has the
    operation's row locked: no two replicas work on one, and one that is killed leaves nothing half
    done. The next batch is anybody's.
    """

    def __init__(
        self,
        store: Store,
        hints: Hints,
        on_due: Callable[[str, float], None],
        settings: Settings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_due(queue, seconds)` is called for jobs that become ready after a delay; `clock` is
        in seconds, and measures batches."""
        self._store = store
        self._hints = hints
        self._on_due = on_due
        self._settings = settings
        self._clock = clock
        self._traffic = Traffic()
        self._retried = 0
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """An operation was started here. Others are found by a poll."""
        self._woken.set()

    async def run(self) -> None:
        """Runs operations until cancelled."""
        await repeat(self._settings.poll_interval_seconds, self._run_once)

    async def _run_once(self) -> int:
        """Does the next batch, or waits until there may be one. Never returns 0: it has waited
        itself."""
        self._woken.clear()
        claimed = await self._run_batch()
        if claimed.operation is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_seconds(claimed.due_seconds)):
                    await self._woken.wait()
        return 1

    def _wait_seconds(self, due_seconds: float | None) -> float:
        """Until the next operation is due: one that is overdue is in the hands of others."""
        poll_seconds = self._settings.poll_interval_seconds
        if due_seconds is None or due_seconds <= 0:
            return poll_seconds
        return min(due_seconds, poll_seconds)

    async def _run_batch(self) -> Claimed:
        """Claims an operation and does its next batch. Returns what was claimed."""
        began = self._clock()
        async with self._store.database.transaction("a bulk operation") as connection:
            claimed = await self._store.bulk_operations.claim(connection)
            self._traffic.saw(Counters(claimed.now, claimed.created, claimed.leased, self._retried))
            operation = claimed.operation
            if operation is None:
                return claimed
            is_busy = self._traffic.is_busy
            batch = BulkBatch(self._store, self._settings, operation, connection)
            result = await batch.run(batch_jobs(operation.request.rate, is_busy))
            now_on = progress(operation, result)
            ended = claimed.now + timedelta(seconds=self._clock() - began)
            next_batch = next_time(
                operation.next_time,
                claimed.now,
                ended,
                result.done,
                operation.request.rate,
                share_of(is_busy, claimed.running),
            )
            if result.waits_for is not None:
                next_batch = max(next_batch, ended + timedelta(seconds=_FULL_SECONDS))
            await self._store.bulk_operations.save(
                operation.id, now_on, next_batch, self._settings.retention_seconds, connection
            )
        self._committed(operation, now_on, batch.tally, claimed.now)
        return claimed

    def _committed(
        self, operation: BulkOperation, now_on: Progress, tally: Tally, now: datetime
    ) -> None:
        """Tells all replicas what a batch has changed."""
        self._retried += len(tally.queued)
        ready = {queued.queue for queued in tally.queued if queued.delay_seconds <= 0}
        for queue, delay_seconds in set(tally.queued):
            if delay_seconds > 0:
                self._on_due(queue, delay_seconds)
        self._hints.tell([operation.id, *tally.changed], ready, cancels=tally.cancels)
        if now_on.is_complete:
            log.info(
                "bulk operation %s (%s) is complete: %d jobs touched, %d skipped, in %.0f s",
                operation.id,
                operation.request.action.kind,
                now_on.done,
                sum(now_on.skipped.values()),
                (now - operation.create_time).total_seconds(),
                extra={"event": "bulk_operation_completed", "operation_id": operation.id},
            )
