"""The bytes of requests and answers that are in memory at a time, for each caller and for all."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Self

from jobsvc.api.call_limit import refusal
from jobsvc.domain.errors import RateLimited
from jobsvc.domain.fair_limit import FairLimit, Holdings

#: Longest wait for room for a request. Who sends too much should hear of it.
REQUEST_SECONDS = 1.0
#: Longest wait for room for an answer: the caller has to read the answers that it has.
ANSWER_SECONDS = 30.0
#: The least that an answer with payloads is expected to have.
_MIN_EXPECTED_BYTES = 128 << 10
#: Smaller requests and answers are not counted one by one: the limits on calls bound them.
SMALL_BYTES = 4 << 10
_KIND = "bytes of requests and answers"


#: Bytes that a call waits for, and its caller's own limit.
_Waiting = tuple[int, int | None, asyncio.Future[None]]


class _Line:
    """The calls of one caller that wait for room, in the order of arrival: how many bytes each
    wants, its own limit, and a future that is done when it has them."""

    def __init__(self) -> None:
        #: Those that have an answer in memory already; they go first.
        self.answered: deque[_Waiting] = deque()
        self.others: deque[_Waiting] = deque()

    def serve(self, take: Callable[[int, int | None], bool]) -> bool:
        """Gives room to those for whom there is some. Returns whether nobody waits any more."""
        for waiting in (self.answered, self.others):
            while waiting:
                size_bytes, most, taken = waiting[0]
                # One that is done was cancelled.
                if not taken.done():
                    if not take(size_bytes, most):
                        return False
                    taken.set_result(None)
                waiting.popleft()
        return True


class ByteBudget:
    """What the calls of each caller hold of a number of bytes. `most` is a caller's own limit."""

    def __init__(self, limit: FairLimit) -> None:
        self._held = Holdings(limit)
        #: What a caller that is alone gets.
        self.most_bytes = limit.limit - limit.reserve
        self._lines: dict[str, _Line] = {}

    @property
    def held_bytes(self) -> int:
        """The bytes that all callers hold."""
        return self._held.total

    @property
    def waiting(self) -> int:
        """How many calls wait for room, about."""
        lines = list(self._lines.values())
        return sum(len(each.answered) + len(each.others) for each in lines)

    def take(self, caller: str, size_bytes: int, most: int | None = None) -> None:
        """Takes bytes now.

        Raises:
            RateLimited: the caller has its share, or the server has no room.
        """
        if not self._held.take(caller, size_bytes, most):
            raise refusal(RateLimited, self._held, caller, _KIND, size_bytes, most)

    def take_at_once(self, caller: str, size_bytes: int, most: int | None = None) -> bool:
        """Takes bytes if there is room and nobody waits for it; says whether it did."""
        return caller not in self._lines and self._held.take(caller, size_bytes, most)

    async def wait(self, caller: str, size_bytes: int, most: int | None = None) -> None:
        """Takes bytes as soon as there is room, after those of the caller who came before."""
        if not self.take_at_once(caller, size_bytes, most):
            await self._stand_in(self._line(caller).others, caller, size_bytes, most)

    async def exchange(
        self, caller: str, held_bytes: int, size_bytes: int, most: int | None = None
    ) -> None:
        """Takes bytes, as soon as there is room, in place of fewer, which are given back at once:
        if all kept theirs while they waited for more, they would wait for each other."""
        await self._stand_in(self._line(caller).answered, caller, size_bytes, most, held_bytes)

    async def _stand_in(
        self,
        waiting: deque[_Waiting],
        caller: str,
        size_bytes: int,
        most: int | None,
        held_bytes: int = 0,
    ) -> None:
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append((size_bytes, most, taken))
        self.add(caller, -held_bytes)
        try:
            await taken
        except asyncio.CancelledError:
            if taken.done() and not taken.cancelled():
                self._held.add(caller, -size_bytes)
            raise
        finally:
            self._serve_waiting()

    def _line(self, caller: str) -> _Line:
        return self._lines.setdefault(caller, _Line())

    def add(self, caller: str, size_bytes: int) -> None:
        """Counts bytes that are there already; a negative number gives bytes back."""
        self._held.add(caller, size_bytes)
        if self._lines and size_bytes < 0:
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
        for caller, line in list(self._lines.items()):
            if line.serve(partial(self._held.take, caller)):
                self._lines.pop(caller, None)


class Charge:
    """What one call holds of the budget."""

    __slots__ = ("_budget", "_caller", "_most", "held_bytes")

    def __init__(self, budget: ByteBudget, caller: str, most: int | None = None) -> None:
        """`most` is the caller's own limit."""
        self._budget = budget
        self._caller = caller
        self._most = most
        self.held_bytes = 0

    def pass_to(self, caller: str, most: int | None = None) -> None:
        """From now on the call is that of another caller, as soon as it is known who makes it."""
        held_bytes = self.held_bytes
        self.close()
        self._caller, self._most = caller, most
        self.settle(held_bytes)

    def take(self, size_bytes: int) -> None:
        """Takes bytes now.

        Raises:
            RateLimited: there is no room.
        """
        self._budget.take(self._caller, size_bytes, self._most)
        self.held_bytes += size_bytes

    def apart(self) -> Self:
        """What a call holds beside the others of its caller, as if by a caller of its own: those
        need not wait for a peer that does not read what it is sent."""
        return type(self)(self._budget, f"{self._caller} streams", self._most)

    def beside(self, budget: ByteBudget) -> Self:
        """What a call holds of another budget."""
        return type(self)(budget, self._caller)

    def take_at_once(self, size_bytes: int) -> bool:
        """Takes bytes if there is room and nobody waits for it; says whether it did."""
        size_bytes = min(size_bytes, self._budget.most_bytes)
        taken = self._budget.take_at_once(self._caller, size_bytes, self._most)
        self.held_bytes += size_bytes if taken else 0
        return taken

    async def wait(self, size_bytes: int) -> None:
        """Takes bytes as soon as there is room."""
        await self._budget.wait(self._caller, size_bytes, self._most)
        self.held_bytes += size_bytes

    async def reserve(self, size_bytes: int, wait_seconds: float) -> None:
        """Takes bytes, after a wait if need be, for what is about to be read or written. What is
        larger than all room there is counts as that.

        Raises:
            RateLimited: there was no room.
        """
        size_bytes = min(size_bytes, self._budget.most_bytes)
        if self._budget.take_at_once(self._caller, size_bytes, self._most):  # mostly
            self.held_bytes += size_bytes
            return
        try:
            async with asyncio.timeout(wait_seconds):
                await self.wait(size_bytes)
        except TimeoutError:
            self.take(size_bytes)

    def give_back(self, size_bytes: int) -> None:
        """Gives bytes back before the call ends."""
        self.held_bytes -= size_bytes
        self._budget.add(self._caller, -size_bytes)

    def settle(self, size_bytes: int) -> None:
        """Holds so many bytes from now on, in place of all others: they are there already."""
        if size_bytes != self.held_bytes:
            self.give_back(self.held_bytes - size_bytes)

    async def exchange(self, size_bytes: int, wait_seconds: float) -> None:
        """Holds so many bytes from now on, in place of all others, after a wait if need be. What is
        larger than all room there is counts as that.

        Raises:
            RateLimited: there was no room.
        """
        size_bytes = min(size_bytes, self._budget.most_bytes)
        more = size_bytes - self.held_bytes
        try:
            if more > 0:
                self.take(more)
            else:
                self.settle(size_bytes)
        except RateLimited:
            before, self.held_bytes = self.held_bytes, 0
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._budget.exchange(self._caller, before, size_bytes, self._most)
                self.held_bytes = size_bytes
            except TimeoutError:
                self.take(size_bytes)

    def close(self) -> None:
        """Gives everything back."""
        self.settle(0)


class ExpectedSize:
    """How large the next answer of a kind may be, judged by those before it."""

    def __init__(self) -> None:
        self.bytes = _MIN_EXPECTED_BYTES

    def saw(self, size_bytes: int) -> None:
        """Records the size of an answer. A large one is expected again for some time."""
        self.bytes = max(size_bytes, self.bytes - self.bytes // 8, _MIN_EXPECTED_BYTES)


#: What the call in progress holds. The guard sets it, in the task that gRPC starts for each call.
current_charge: ContextVar[Charge] = ContextVar("current_charge")
