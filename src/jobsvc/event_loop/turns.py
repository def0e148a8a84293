"""Turns for long work: of all that is long, one piece runs in a pass of the loop, and then everyone
else for some passes. Sixteen pieces of 5 ms in one pass would block the loop for 80."""

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

#: Passes that belong to everyone else after each piece. A short call takes many passes: with one
#: piece in each of them, it would wait for as many pieces. An empty pass takes some 10 µs.
_PASSES_BETWEEN = 8


class _Line:
    """Those who wait for a turn on one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        #: Passes until the next turn, while `_next` is called in each.
        self._passes_left = 0
        self._is_counting = False

    def join(self) -> asyncio.Future[None]:
        turn = self._loop.create_future()
        self._waiting.append(turn)
        if not self._is_counting:
            self._is_counting = True
            self._loop.call_soon(self._next)
        return turn

    def _next(self) -> None:
        if self._passes_left:
            self._passes_left -= 1
        else:
            while self._waiting:
                turn = self._waiting.popleft()
                if not turn.done():  # else it was cancelled
                    turn.set_result(None)
                    self._passes_left = _PASSES_BETWEEN
                    break
        self._is_counting = bool(self._waiting or self._passes_left)
        if self._is_counting:
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
