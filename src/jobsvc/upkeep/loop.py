"""The loop that runs every duty, on every replica, without a leader."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from jobsvc.domain.errors import DatabaseFailure
from jobsvc.store.repeat import repeat
from jobsvc.telemetry.catalogue import DUTY_FAILURES, DUTY_ITEMS, DUTY_SUCCESS_AGE
from jobsvc.telemetry.measurements import Measurements

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """A piece of upkeep: `run_once` does a bounded batch and returns how many items it handled.

    None means that it must not run again before its interval is over.
    """

    name: str
    interval_seconds: float
    run_once: Callable[[], Awaitable[int | None]]


class DutyLog:
    """What the metrics say of duties."""

    def __init__(self, measurements: Measurements | None) -> None:
        measurements = Measurements() if measurements is None else measurements
        self._items = measurements.tally(DUTY_ITEMS)
        self._failures = measurements.tally(DUTY_FAILURES)
        self._success_times: dict[str, float] = {}
        measurements.gauge(DUTY_SUCCESS_AGE, self._ages)

    def succeeded(self, duty: Duty, count: int | None) -> None:
        """Records a run, and how many items it handled."""
        self._success_times[duty.name] = time.monotonic()
        self._items.add(count or 0, duty.name)
        self._failures.add(0, duty.name)

    def failed(self, duty: Duty) -> None:
        """Records a run that the database failed."""
        self._failures.add(1, duty.name)

    def _ages(self) -> list[tuple[tuple[str, ...], float]]:
        now = time.monotonic()
        return [((name,), now - then) for name, then in list(self._success_times.items())]


async def run_duties(*duties: Duty, log_of: DutyLog) -> None:
    """Runs each duty at its interval, and again at once while it finds work, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for duty in duties:
            run_once = partial(_run_once, duty, log_of)
            tasks.create_task(repeat(duty.interval_seconds, run_once), name=f"upkeep {duty.name}")


async def _run_once(duty: Duty, log_of: DutyLog) -> int | None:
    try:
        count = await duty.run_once()
    except DatabaseFailure:
        log_of.failed(duty)
        raise
    log_of.succeeded(duty, count)
    if count:
        log.info("%s: %d", duty.name, count)
    return count
