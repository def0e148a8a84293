"""Measures how the queues are doing: reads now and then what GetQueueStats reads, too."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import NoReturn

from jobsvc.domain.queue import QueueCounts
from jobsvc.store.queues import QueueStore
from jobsvc.store.repeat import repeat
from jobsvc.telemetry.catalogue import (
    QUEUE_JOBS,
    QUEUE_MAX_WAITING,
    QUEUE_OLDEST_READY,
    QUEUE_OPEN_WINDOW,
    QUEUE_PAUSED,
    QUEUE_STATISTICS_AGE,
    QUEUE_WORKERS,
)
from jobsvc.telemetry.measurements import Attributes, Measurements

_READ_SECONDS = 10.0
#: The wait is this many times as long as the last read, if that is longer: with thousands of queues
#: a read takes a while, and each replica reads.
_REST = 50


class QueueMeasurements:
    """The last counts of all queues. `run` reads them, on a replica whose metrics go anywhere."""

    def __init__(self, queues: QueueStore, measurements: Measurements) -> None:
        self._queues = queues
        self._attribute = measurements.queue
        self._counts: list[QueueCounts] = []
        self._read_time = 0.0
        measurements.gauge(QUEUE_JOBS, self._jobs)
        measurements.gauge(
            QUEUE_OLDEST_READY, lambda: self._each(lambda c: c.oldest_ready_seconds or 0.0, max)
        )
        measurements.gauge(QUEUE_WORKERS, lambda: self._each(lambda c: c.workers, max))
        measurements.gauge(QUEUE_OPEN_WINDOW, lambda: self._each(lambda c: c.open_window, max))
        measurements.gauge(QUEUE_PAUSED, lambda: self._each(lambda c: c.paused, max))
        measurements.gauge(QUEUE_MAX_WAITING, lambda: self._each(lambda c: c.max_waiting, max))
        measurements.gauge(QUEUE_STATISTICS_AGE, self._age)

    async def run(self) -> NoReturn:
        """Reads again and again, until cancelled."""
        await repeat(_READ_SECONDS, self._read)

    async def _read(self) -> None:
        begin = time.monotonic()
        self._counts = await self._queues.count(None)
        self._read_time = time.monotonic()
        rest_seconds = _REST * (self._read_time - begin) - _READ_SECONDS
        if rest_seconds > 0:
            await asyncio.sleep(rest_seconds)

    def _jobs(self) -> Iterable[tuple[Attributes, float]]:
        states: tuple[tuple[str, Callable[[QueueCounts], float]], ...] = (
            ("ready", lambda c: c.ready),
            ("scheduled", lambda c: c.scheduled),
            ("processing", lambda c: c.processing),
        )
        for state, count in states:
            for (queue,), value in self._each(count, sum):
                yield (queue, state), value

    def _each(
        self,
        value: Callable[[QueueCounts], float | None],
        join: Callable[[Iterable[float]], float],
    ) -> Iterable[tuple[Attributes, float]]:
        """The value of each queue that has one; `join` makes one of those of all other queues."""
        found: dict[str, list[float]] = {}
        for counts in self._counts:
            if (number := value(counts)) is not None:
                found.setdefault(self._attribute(counts.name), []).append(number)
        return [((queue,), join(values)) for queue, values in found.items()]

    def _age(self) -> Iterable[tuple[Attributes, float]]:
        return [((), time.monotonic() - self._read_time)] if self._read_time else []
