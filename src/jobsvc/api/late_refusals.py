"""Calls beyond a limit whose refusal is late, because their caller is refused again and again."""

import asyncio
import time

from jobsvc.domain.refusal_pace import RefusalPace


class LateRefusals:
    """Lets calls wait before they are refused, so that a caller who calls again after each refusal
    leaves the processor to others."""

    #: More are refused at once: each takes some memory.
    MAX_WAITING = 2_000

    def __init__(self) -> None:
        self._pace = RefusalPace()
        self._waiting: set[asyncio.Future[None]] = set()
        self._ended = False

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._waiting)

    async def wait(self, caller: str, most_seconds: float | None) -> None:
        """Waits as long as the next refusal of a caller should be late, but at most
        `most_seconds`."""
        seconds = self._pace.delay_seconds(caller, time.monotonic())
        if most_seconds is not None:
            seconds = min(seconds, most_seconds)
        if seconds <= 0 or self._ended or len(self._waiting) >= self.MAX_WAITING:
            return
        loop = asyncio.get_running_loop()
        due: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _wake, due)
        self._waiting.add(due)
        try:
            await due
        finally:
            timer.cancel()
            self._waiting.discard(due)

    def end(self) -> None:
        """Ends all waiting, now and from now on: the server is about to exit."""
        self._ended = True
        for due in self._waiting:
            _wake(due)


def _wake(due: asyncio.Future[None]) -> None:
    if not due.done():
        due.set_result(None)
