"""Turns for long work: of all that is long, one piece runs in a pass of the loop, and then everyone
else for some passes, and each short call in progress to its end. Sixteen pieces of 5 ms in one pass
would block the loop for 80."""

import asyncio
import time
from collections import deque
from contextvars import ContextVar
from weakref import WeakKeyDictionary

from jobsvc.event_loop.short_calls import ShortCalls

#: Passes that belong to everyone else after each piece, for calls that arrive meanwhile. An empty
#: pass takes some 10 µs.
_PASSES_BETWEEN = 8

#: For whom the task in progress works. Callers take turns, then the tasks of each.
turn_caller: ContextVar[str] = ContextVar("turn_caller", default="")


class Line:
    """Those who wait for a turn on one loop, and the short calls that go first."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._short: ShortCalls[asyncio.Task[object]] = ShortCalls()
        self._passes_left = 0
        #: When `_next` is called next; in its timer's time if short calls hold up the line.
        self._next_call: asyncio.Handle | None = None
        self._is_held = False

    def enter_short(self, call: asyncio.Task[object]) -> None:
        """A call began that should be short. It is short until it takes a turn itself."""
        self._short.enter(call, time.monotonic())

    def leave_short(self, call: asyncio.Task[object] | None) -> None:
        """The call, short or not, has ended, or turned out to be long."""
        if call is not None and self._short.leave(call) and self._is_held:
            assert self._next_call is not None
            self._next_call.cancel()
            self._is_held = False
            self._next_call = self._loop.call_soon(self._next)

    def join(self) -> asyncio.Future[None]:
        """Returns a future that is done when the turn has come."""
        self.leave_short(asyncio.current_task())
        turn = self._loop.create_future()
        self._waiting.setdefault(turn_caller.get(), deque()).append(turn)
        if self._next_call is None:
            self._next_call = self._loop.call_soon(self._next)
        return turn

    def _next(self) -> None:
        self._next_call, self._is_held = None, False
        if self._passes_left:
            self._passes_left -= 1
        elif self._waiting:
            now = time.monotonic()
            if seconds := self._short.hold_seconds(now):
                self._is_held = True
                self._next_call = self._loop.call_later(seconds, self._next)
                return
            if self._give_turn():
                self._short.last_piece = now
                self._passes_left = _PASSES_BETWEEN
        if self._waiting or self._passes_left:
            self._next_call = self._loop.call_soon(self._next)

    def _give_turn(self) -> bool:
        """Whether there was somebody to give it to."""
        while self._waiting:
            caller = next(iter(self._waiting))
            turns = self._waiting.pop(caller)
            turn = turns.popleft()
            if turns:
                self._waiting[caller] = turns  # behind all other callers
            if not turn.done():  # else it was cancelled
                turn.set_result(None)
                return True
        return False


# What is shared is the loop, so each loop has its line; to hand one through all layers would say no
# more.
_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Line] = WeakKeyDictionary()


def line() -> Line:
    """The line of the running loop."""
    loop = asyncio.get_running_loop()
    found = _lines.get(loop)
    if found is None:
        found = _lines[loop] = Line(loop)
    return found


async def turn() -> None:
    """Waits for a pass of the loop in which no other long work runs."""
    await line().join()
