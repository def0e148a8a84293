"""The loop that runs every duty, on every replica, without a leader."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from jobsvc.domain.errors import DatabaseFailure

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duty:
    """A piece of upkeep: `run_once` does a bounded batch and returns how many items it handled."""

    name: str
    interval_seconds: float
    run_once: Callable[[], Awaitable[int]]


async def run_duties(*duties: Duty) -> None:
    """Runs each duty at its interval, and again at once while it finds work, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        for duty in duties:
            tasks.create_task(_run(duty), name=f"upkeep {duty.name}")


async def _run(duty: Duty) -> None:
    while True:
        try:
            count = await duty.run_once()
        except DatabaseFailure:
            count = 0
        if count:
            log.info("%s: %d", duty.name, count)
        else:
            await asyncio.sleep(duty.interval_seconds)
