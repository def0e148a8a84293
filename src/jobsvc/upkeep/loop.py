"""The loop that runs every duty, on every replica, without a leader."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from jobsvc.store.repeat import repeat

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """A piece of upkeep: `run_once` does a bounded batch and returns how many items it handled.

    None means that it must not run again before its interval is over.
    """

    name: str
    interval_seconds: float
    run_once: Callable[[], Awaitable[int | None]]


async def run_duties(*duties: Duty) -> None:
    """Runs each duty at its interval, and again at once while it finds work, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for duty in duties:
            run_once = partial(_run_once, duty)
            tasks.create_task(repeat(duty.interval_seconds, run_once), name=f"upkeep {duty.name}")


async def _run_once(duty: Duty) -> int | None:
    count = await duty.run_once()
    if count:
        log.info("%s: %d", duty.name, count)
    return count
