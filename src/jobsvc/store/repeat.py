"""The one rule for what runs in the background: whatever a database may answer is expected."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from jobsvc.domain.errors import DatabaseFailure, DatabaseUnavailable

#: Longest wait for the next try while the database refuses.
_MAX_SECONDS = 5.0


async def repeat(
    interval_seconds: float, run_once: Callable[[], Awaitable[int | None]]
) -> NoReturn:
    """Runs `run_once` at its interval, and again at once while it returns how much it has done,
    until cancelled. Only a defect of ours ends it.

    A database that is away is asked again at the interval, so that all goes on when it is back; one
    that refuses, later and later. The store has told, counted and remembered the failure already.
    """
    refusals = 0
    while True:
        done: int | None = 0
        try:
            done = await run_once()
            refusals = 0
        except DatabaseUnavailable as error:
            refusals = refusals + 1 if error.is_refusal else 0
        except DatabaseFailure:
            refusals += 1
        if not done:
            await asyncio.sleep(wait_seconds(interval_seconds, refusals))


def wait_seconds(interval_seconds: float, refusals: int) -> float:
    """Returns the wait after so many refusals in a row. Pure."""
    longest = max(interval_seconds, _MAX_SECONDS)
    return min(interval_seconds * (1 << min(refusals, 10)), longest)
