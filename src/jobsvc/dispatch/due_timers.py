"""Timers for jobs that become ready later: each ends with a hint to every replica."""

import asyncio

from jobsvc.store.hints import Hints

#: A job that is due later than this is left to the poll, which bounds the number of timers.
_MAX_DELAY_SECONDS = 60.0
#: So are jobs beyond so many timers.
MAX_TIMERS = 20_000


class DueTimers:
    """The timers of this replica, at most one for each queue and hundredth of a second."""

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._timers: dict[tuple[str, int], asyncio.TimerHandle] = {}

    def start(self, queue: str, delay_seconds: float) -> None:
        """Gives the hint that a queue has a ready job, after a delay."""
        if delay_seconds > _MAX_DELAY_SECONDS or len(self._timers) >= MAX_TIMERS:
            return
        loop = asyncio.get_running_loop()
        key = (queue, int((loop.time() + delay_seconds) * 100) + 1)
        if key not in self._timers:
            self._timers[key] = loop.call_at(key[1] / 100, self._ring, key)

    def _ring(self, key: tuple[str, int]) -> None:
        del self._timers[key]
        self._hints.tell(ready=[key[0]])
