"""Redelivery: leases that never reached their workers go back to their queues, unattempted."""

import asyncio
import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from math import inf
from typing import NamedTuple

from jobsvc.domain.errors import DatabaseFailure
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.outages import LATE_SECONDS
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.telemetry.jobs import JobMeasurements
from jobsvc.telemetry.measurements import Measurements

log = logging.getLogger(__name__)

_INTERVAL_SECONDS = 0.5
#: Leases in one statement, or a few more.
_MAX_LEASES = 1000
#: Longest wait for the database when the server is about to go.
_FLUSH_SECONDS = 2.0


class _Scheduled(NamedTuple):
    """Leases to redeliver from `due_time` on."""

    due_time: float
    lease_ids: list[LeaseId]
    unsent: bool


class Redelivery:
    """Puts leases back into their queues: at once, or when `run` finds them due.

    An unsent lease was never sent to its worker: it goes back to its position
    in the queue, and its redelivery is not counted. Any other counts, up to
    MAX_REDELIVERIES, and stays if it is confirmed by then: its worker has extended it. After an
    outage the worker has `reconnect_seconds` for that.
    """

    def __init__(
        self,
        store: Store,
        hints: Hints,
        reconnect_seconds: float = 0.0,
        measurements: Measurements | None = None,
    ) -> None:
        self._store = store
        self._hints = hints
        self._reconnect_seconds = reconnect_seconds
        self._measured = JobMeasurements(measurements)
        self._scheduled: list[_Scheduled] = []
        self._added = asyncio.Event()

    def schedule(
        self, lease_ids: Collection[LeaseId], after_seconds: float = 0.0, unsent: bool = False
    ) -> None:
        """Redelivers leases after a delay. Never waits for the database."""
        if lease_ids:
            due_time = time.monotonic() + after_seconds
            self._scheduled.append(_Scheduled(due_time, list(lease_ids), unsent))
            self._added.set()

    async def redeliver_now(
        self, lease_ids: Sequence[LeaseId], confirmed_too: bool = False, unsent: bool = False
    ) -> None:
        """Redelivers leases; `confirmed_too` also those that their worker has confirmed.

        Scheduled leases that are unsent go first, so that none of them is counted.

        Raises:
            DatabaseUnavailable: some or all of them may not have been redelivered.
        """
        if lease_ids and not unsent:
            await self._redeliver_scheduled([item for item in self._scheduled if item.unsent])
        await self._redeliver(lease_ids, confirmed_too, unsent)

    async def run(self) -> None:
        """Redelivers what is due, until cancelled."""
        while True:
            wait_end = time.monotonic() + _INTERVAL_SECONDS if self._scheduled else inf
            with suppress(TimeoutError):
                async with asyncio.timeout(_INTERVAL_SECONDS if self._scheduled else None):
                    await self._added.wait()
            self._added.clear()
            now = time.monotonic()
            if now - wait_end > LATE_SECONDS:
                self._postpone()
            try:
                await self._redeliver_scheduled([i for i in self._scheduled if i.due_time <= now])
            except DatabaseFailure:
                await asyncio.sleep(_INTERVAL_SECONDS)
                self._postpone()

    async def flush(self) -> None:
        """Redelivers everything scheduled, due or not, for a server that is about to go."""
        try:
            async with asyncio.timeout(_FLUSH_SECONDS):
                await self._redeliver_scheduled(self._scheduled)
        except (DatabaseFailure, TimeoutError):
            count = sum(len(item.lease_ids) for item in self._scheduled)
            log.warning("%d leases that never reached their workers are left to lapse", count)

    def _postpone(self) -> None:
        """Gives workers that may have these leases the time to come back and confirm them."""
        due_time = time.monotonic() + self._reconnect_seconds
        self._scheduled = [
            item if item.unsent else item._replace(due_time=max(item.due_time, due_time))
            for item in self._scheduled
        ]

    async def _redeliver_scheduled(self, items: Sequence[_Scheduled]) -> None:
        for batch in _batches(items):
            lease_ids = [lease_id for item in batch for lease_id in item.lease_ids]
            await self._redeliver(lease_ids, confirmed_too=False, unsent=batch[0].unsent)
            # Removed only now: if `run` is cancelled meanwhile, the last `flush` does it again.
            done = set(map(id, batch))
            self._scheduled = [item for item in self._scheduled if id(item) not in done]

    async def _redeliver(
        self, lease_ids: Sequence[LeaseId], confirmed_too: bool, unsent: bool
    ) -> None:
        if lease_ids:
            back = await self._store.leases.redeliver(lease_ids, confirmed_too, unsent)
            log.debug("%d of %d leases went back to their queues", len(back), len(lease_ids))
            self._measured.redelivered(back.values())
            self._hints.tell([lease.job_id for lease in back], dict.fromkeys(back.values()))


def _batches(items: Sequence[_Scheduled]) -> Iterator[list[_Scheduled]]:
    """Divides items into those for one statement: all unsent or none, and not too many leases."""
    for unsent in (True, False):
        batch: list[_Scheduled] = []
        size = 0
        for item in items:
            if item.unsent is unsent:
                batch.append(item)
                size += len(item.lease_ids)
                if size >= _MAX_LEASES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch
