"""The bytes of requests and answers that are in memory at a time, for each caller and for all."""

import asyncio
from collections import deque
from contextvars import ContextVar

from jobsvc.api.call_limit import refusal
from jobsvc.domain.errors import RateLimited
from jobsvc.domain.fair_limit import FairLimit, Holdings

#: Longest wait of a call for room; beyond, it is refused.
WAIT_SECONDS = 1.0
_KIND = "bytes of requests and answers"


class ByteBudget:
    """What the calls of each caller hold of a number of bytes."""

    def __init__(self, limit: FairLimit) -> None:
        self._held = Holdings(limit)
        #: Who waits for room, by caller, in the order of arrival.
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}

    def take(self, caller: str, size_bytes: int) -> None:
        """Takes bytes now.

        Raises:
            RateLimited: the caller has its share, or the server has no room.
        """
        if not self._held.take(caller, size_bytes):
            raise refusal(RateLimited, self._held, caller, _KIND, size_bytes)

    async def wait(self, caller: str, size_bytes: int) -> None:
        """Takes bytes as soon as there is room, after those of the caller who came before."""
        waiting = self._waiting.get(caller)
        if waiting is None and self._held.take(caller, size_bytes):
            return
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(caller, deque())
        waiting.append((size_bytes, taken))
        try:
            await taken
        except asyncio.CancelledError:
            if taken.done() and not taken.cancelled():
                self.add(caller, -size_bytes)
            raise
        finally:
            self._serve_waiting()

    def add(self, caller: str, size_bytes: int) -> None:
        """Counts bytes that are there already; a negative number gives bytes back."""
        self._held.add(caller, size_bytes)
        if self._waiting and size_bytes < 0:
            self._serve_waiting()

    def take_peak(self) -> int:
        """Returns the most bytes that were held at a time since the last call; 0 while more than
        half of them are still held."""
        peak = self._held.peak
        if self._held.total > peak // 2:
            return 0
        self._held.peak = self._held.total
        return peak

    def _serve_waiting(self) -> None:
        for caller, waiting in list(self._waiting.items()):
            while waiting:
                size_bytes, taken = waiting[0]
                if not taken.done():
                    if not self._held.take(caller, size_bytes):
                        break
                    taken.set_result(None)
                waiting.popleft()
            if not waiting:
                self._waiting.pop(caller, None)


class Charge:
    """What one call holds of the budget."""

    __slots__ = ("_budget", "_caller", "_held_bytes")

    def __init__(self, budget: ByteBudget, caller: str) -> None:
        self._budget = budget
        self._caller = caller
        self._held_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Takes bytes now.

        Raises:
            RateLimited: there is no room.
        """
        self._budget.take(self._caller, size_bytes)
        self._held_bytes += size_bytes

    async def wait(self, size_bytes: int) -> None:
        """Takes bytes as soon as there is room."""
        await self._budget.wait(self._caller, size_bytes)
        self._held_bytes += size_bytes

    async def reserve(self, size_bytes: int) -> None:
        """Takes bytes, after a moment if need be, for what is about to be read or written.

        Raises:
            RateLimited: there was no room.
        """
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self.wait(size_bytes)
        except TimeoutError:
            self.take(size_bytes)

    def give_back(self, size_bytes: int) -> None:
        """Gives bytes back before the call ends."""
        self._held_bytes -= size_bytes
        self._budget.add(self._caller, -size_bytes)

    def settle(self, size_bytes: int) -> None:
        """Holds so many bytes from now on, in place of all others: they are there already."""
        if size_bytes != self._held_bytes:
            self.give_back(self._held_bytes - size_bytes)

    def exchange(self, size_bytes: int) -> None:
        """Holds so many bytes from now on, in place of all others, if there is room.

        Raises:
            RateLimited: there is none.
        """
        if size_bytes > self._held_bytes:
            self.take(size_bytes - self._held_bytes)
        else:
            self.settle(size_bytes)

    def close(self) -> None:
        """Gives everything back."""
        self.settle(0)


class ExpectedSize:
    """How large the next answer of a kind may be, judged by those before it."""

    def __init__(self) -> None:
        self.bytes = 0

    def saw(self, size_bytes: int) -> None:
        """Records the size of an answer. A large one is expected again for some time."""
        self.bytes = max(size_bytes, self.bytes - self.bytes // 8)


#: What the call in progress holds. The guard sets it, in the task that gRPC starts for each call.
current_charge: ContextVar[Charge] = ContextVar("current_charge")
