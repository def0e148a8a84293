"""Turns for long work: of all that is long, one piece runs in a pass of the loop, and then everyone
else. Sixteen pieces of 5 ms in one pass would block the loop for 80."""

import asyncio
from collections import deque
from weakref import WeakKeyDictionary


class _Line:
    """Those who wait for a turn on one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()

    def join(self) -> asyncio.Future[None]:
        turn = self._loop.create_future()
        if not self._waiting:
            self._loop.call_soon(self._next)
        self._waiting.append(turn)
        return turn

    def _next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # else it was cancelled
                turn.set_result(None)
                break
        if self._waiting:
            self._loop.call_soon(self._next)


# What is shared is the loop, so each loop has its line; to hand one through all layers would say no
# more.
_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()


async def turn() -> None:
    """Waits for a pass of the loop in which no other long work runs."""
    loop = asyncio.get_running_loop()
    line = _lines.get(loop)
    if line is None:
        line = _lines[loop] = _Line(loop)
    await line.join()
