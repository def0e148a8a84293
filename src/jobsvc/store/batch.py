"""Group commit: concurrent writes share one statement, one commit, one flush to disk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import asyncpg

from jobsvc.domain.errors import DatabaseUnavailable

log = logging.getLogger(__name__)


#: A call needs half as many passes of the loop from its arrival to its place in a batch.
_IDLE_PASSES = 16
#: So much company is enough.
_ENOUGH_ITEMS = 64
#: After so many calls that met nobody, the next does not look out for others.
_LONE_CALLS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")
#: What one caller submitted, and where its results go.
_Group = tuple[Sequence[Item], asyncio.Future[Sequence[Result | Exception]]]


class Batcher(Generic[Item, Result]):
    """Collects items while a statement is in flight; what has arrived forms the next one.

    There is no timer: a lone item is written after a few empty passes of the loop, a tenth of a
    millisecond, and at once if those before it were alone as well: the passes of a busy loop are
    long. `write` takes items and answers with one result each, in their order. When it
    fails, its items are written one by one, so that a bad one cannot spoil its neighbours, and the
    error of an item takes the place of its result. When the database is away, all of them get
    `DatabaseUnavailable`.
    """

    def __init__(
        self, write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], most_items: int
    ) -> None:
        self._write = write
        self._most_items = most_items
        self._waiting: list[_Group[Item, Result]] = []
        #: How many calls in a row had a statement to themselves, and came when none was in flight.
        self._lone = 0
        self._arrived = asyncio.Event()

    async def submit(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        """Writes `items`, together with others', and answers with a result or an error for each.

        A caller that is cancelled may still have its items written, and leaves
        the others unharmed.
        """
        if not items:
            return ()
        done: asyncio.Future[Sequence[Result | Exception]] = (
            asyncio.get_running_loop().create_future()
        )
        self._waiting.append((items, done))
        self._arrived.set()
        return await done

    async def submit_one(self, item: Item) -> Result:
        """Writes one item. Raises its error."""
        (result,) = await self.submit((item,))
        if isinstance(result, Exception):
            raise result
        return result

    async def run(self) -> None:
        """Writes what is submitted, until cancelled. Whoever waits then is cancelled too."""
        groups: list[_Group[Item, Result]] = []
        try:
            while True:
                if self._waiting:
                    self._lone = 0
                await self._arrived.wait()
                if self._lone < _LONE_CALLS:
                    await self._let_in()
                groups = self._take()
                self._lone = self._lone + 1 if len(groups) == 1 else 0
                results = await self._write_all([item for items, _ in groups for item in items])
                start = 0
                for items, done in groups:
                    if not done.done():
                        done.set_result(results[start : start + len(items)])
                    start += len(items)
        finally:
            for _, done in (*groups, *self._waiting):
                done.cancel()

    async def _let_in(self) -> None:
        """Lets in what is on its way through the loop already, as long as more of it arrives."""
        passes, before = 0, 0
        while passes < _IDLE_PASSES and len(self._waiting) < _ENOUGH_ITEMS:
            if len(self._waiting) > before:
                passes, before = 0, len(self._waiting)
            passes += 1
            await asyncio.sleep(0)

    def _take(self) -> list[_Group[Item, Result]]:
        size = taken = 0
        for items, _ in self._waiting:
            if taken and size + len(items) > self._most_items:
                break
            size += len(items)
            taken += 1
        groups = self._waiting[:taken]
        del self._waiting[:taken]
        if not self._waiting:
            self._arrived.clear()
        return groups

    async def _write_all(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        try:
            return await self._write(items)
        except DatabaseUnavailable as error:
            return [error] * len(items)
        except Exception as error:
            if len(items) == 1:
                # A key that is taken is an answer; anything else is a defect of ours.
                if not isinstance(error, asyncpg.UniqueViolationError):
                    log.error("an item cannot be written", exc_info=error)
                return [error]
            log.warning("a batch of %d failed and is written one by one: %r", len(items), error)
        return [(await self._write_all([item]))[0] for item in items]
