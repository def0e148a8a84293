"""Group commit: concurrent writes share one statement, one commit, one flush to disk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

from jobsvc.domain.errors import DatabaseUnavailable, NotStorable

log = logging.getLogger(__name__)

#: Stop gathering after this many passes of the loop without a new call. A call that the loop has
#: received needs half as many until it submits its items.
_IDLE_PASSES = 16
#: Stop gathering once this many calls are waiting.
_ENOUGH_CALLS = 64
#: After this many batches of one call in a row, the next call does not wait for others.
_LONE_CALLS = 8

Item = TypeVar("Item")
Result = TypeVar("Result")
#: The items that one caller submitted, and the future for their results.
_Group = tuple[Sequence[Item], asyncio.Future[Sequence[Result | Exception]]]


class PartlyWritten(Exception):
    """A write failed when some of its items had been committed, because of its cause. `results` has
    None for each of the others."""

    def __init__(self, results: Sequence[Any]) -> None:
        """`results`: those of a batcher, whose type an exception cannot name, hence Any."""
        super().__init__("only a part of a batch is written")
        self.results = results


class Batcher(Generic[Item, Result]):
    """Collects items while a statement is in flight, and writes them with the next one.

    There is no timer. A lone item is written after a few idle passes of the loop, about a tenth of
    a millisecond; it is written at once if the calls before it were alone as well, because the
    passes of a busy loop are long.

    `write` takes items and returns one result for each, in their order. If it fails, its items are
    written one by one, so that a bad item does not harm the others; the result of an item that
    cannot be written is its error, unless one of those that `instead` returns for it can be. If
    the database is unavailable, every item gets `DatabaseUnavailable`. What was written before the
    error stands if it is `PartlyWritten`. Errors are logged as defects unless they are
    `expected_errors`.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        max_items: int,
        expected_errors: tuple[type[Exception], ...] = (),
        instead: Callable[[Item], Sequence[Item]] = lambda _: (),
    ) -> None:
        self._write = write
        self._max_items = max_items
        self._expected_errors = expected_errors
        self._instead = instead
        self._waiting: list[_Group[Item, Result]] = []
        #: How many batches in a row had one call, which came while no statement was in flight.
        self._lone = 0
        self._has_items = asyncio.Event()
        self._found_away = False
        #: Batches since the start, and the items in them.
        self.batches = self.items = 0

    async def submit(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        """Writes `items` together with those of other calls. Returns a result or error for each.

        The items of a cancelled call may still be written; other calls are not affected.
        """
        if not items:
            return ()
        done: asyncio.Future[Sequence[Result | Exception]] = (
            asyncio.get_running_loop().create_future()
        )
        self._waiting.append((items, done))
        self._has_items.set()
        return await done

    async def submit_one(self, item: Item) -> Result:
        """Writes one item; raises its error."""
        (result,) = await self.submit((item,))
        if isinstance(result, Exception):
            raise result
        return result

    def take_found_away(self) -> bool:
        """Whether the last batch since the last call found the database away."""
        found_away, self._found_away = self._found_away, False
        return found_away

    async def run(self) -> None:
        """Writes submitted items until cancelled, and then cancels the calls that are waiting."""
        groups: list[_Group[Item, Result]] = []
        try:
            while True:
                if self._waiting:
                    self._lone = 0
                await self._has_items.wait()
                if self._lone < _LONE_CALLS:
                    await self._gather()
                groups = self._take()
                self._lone = self._lone + 1 if len(groups) == 1 else 0
                batch = [item for items, _ in groups for item in items]
                self.batches += 1
                self.items += len(batch)
                results = await self._write_all(batch)
                start = 0
                for items, done in groups:
                    if not done.done():
                        done.set_result(results[start : start + len(items)])
                    start += len(items)
        finally:
            for _, done in (*groups, *self._waiting):
                done.cancel()

    async def _gather(self) -> None:
        """Waits for calls that the loop has received already, as long as more of them submit."""
        passes, before = 0, 0
        while passes < _IDLE_PASSES and len(self._waiting) < _ENOUGH_CALLS:
            if len(self._waiting) > before:
                passes, before = 0, len(self._waiting)
            passes += 1
            await asyncio.sleep(0)

    def _take(self) -> list[_Group[Item, Result]]:
        size = taken = 0
        for items, _ in self._waiting:
            if taken and size + len(items) > self._max_items:
                break
            size += len(items)
            taken += 1
        groups = self._waiting[:taken]
        del self._waiting[:taken]
        if not self._waiting:
            self._has_items.clear()
        return groups

    async def _write_all(self, items: Sequence[Item]) -> Sequence[Result | Exception]:
        try:
            results = await self._write(items)
            self._found_away = False
            return results
        except PartlyWritten as partly:
            rest = [item for item, r in zip(items, partly.results, strict=True) if r is None]
            others = iter(await self._write_each(rest, partly.__cause__))
            return [next(others) if result is None else result for result in partly.results]
        except Exception as error:
            if len(items) > 1 or isinstance(error, DatabaseUnavailable):
                return await self._write_each(items, error)
            if not isinstance(error, (NotStorable, *self._expected_errors)):
                log.error("an item cannot be written", exc_info=error)
            return [await self._write_instead(items[0], error)]

    async def _write_each(
        self, items: Sequence[Item], error: BaseException | None
    ) -> list[Result | Exception]:
        """Writes items one by one after they failed together."""
        if isinstance(error, DatabaseUnavailable):
            self._found_away = True
            return [error] * len(items)
        if not isinstance(error, NotStorable):  # That is told, but not each time.
            log.warning("a batch of %d failed and is written one by one: %r", len(items), error)
        return [(await self._write_all([item]))[0] for item in items]

    async def _write_instead(self, item: Item, error: Exception) -> Result | Exception:
        for other in self._instead(item):
            try:
                (result,) = await self._write((other,))
            except Exception as other_error:
                error = other_error
                if isinstance(error, DatabaseUnavailable):
                    self._found_away = True
                    break
            else:
                return result
        return error
