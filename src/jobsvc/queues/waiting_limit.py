"""Limits on the jobs that wait, in a queue or of a service: counted now and then, not for every
creation."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from jobsvc.domain.errors import RateLimited

#: How old a count may be that shows room, and one that shows none.
_ROOM_SECONDS = 1.0
_FULL_SECONDS = 0.1
#: A count that took long is good for so many times as long, but for no longer than this: it may
#: have stood in line for a connection, or the database still.
_TIMES = 20
_MAX_GOOD_SECONDS = 5.0
#: Names whose counts are kept.
_MAX_NAMES = 1000


@dataclass(slots=True)
class _Count:
    time: float
    #: Jobs that waited then, and those that were let in since.
    waiting: int
    #: How long it took to count.
    seconds: float = 0.0

    def decides(self, count: int, limit: int, now: float) -> bool:
        """Whether it is young enough to say whether `count` more may wait."""
        has_room = self.waiting + count <= limit
        good_seconds = _ROOM_SECONDS if has_room else _FULL_SECONDS
        long_seconds = min(_TIMES * self.seconds, _MAX_GOOD_SECONDS)
        return now - self.time - self.seconds < max(good_seconds, long_seconds)


class WaitingLimit:
    """Lets jobs into what has a limit on those that wait: queues, or services, by name."""

    def __init__(
        self,
        count: Callable[[str], Awaitable[int]],
        full: Callable[[str, int], RateLimited],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`count` returns how many jobs wait by a name, and `full` the error that says that as many
        do as may."""
        self._count_waiting = count
        self._full = full
        self._clock = clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        #: Jobs let in by calls that have not ended: a count may not see them yet.
        self._under_way: Counter[str] = Counter()
        #: Held to count: of those who find no count, one makes it for all.
        self._counting = asyncio.Lock()

    async def let_in(self, name: str, count: int, limit: int) -> None:
        """Lets in `count` jobs, of which `limit` may wait by a name. They count as long as the task
        runs that asks, and in the table from then on.

        Raises:
            RateLimited: as `full` has it: there is no room for all of them.
        """
        known = self._decisive(name, count, limit)
        if known is None:
            async with self._counting:
                known = self._decisive(name, count, limit) or await self._count(name)
        if known.waiting + count > limit:
            raise self._full(name, limit)
        known.waiting += count
        self._under_way[name] += count
        call = asyncio.current_task()
        assert call is not None, "there is a loop"
        call.add_done_callback(lambda _: self._call_ended(name, count))

    def _call_ended(self, name: str, count: int) -> None:
        self._under_way[name] -= count
        if not self._under_way[name]:
            del self._under_way[name]

    def _decisive(self, name: str, count: int, limit: int) -> _Count | None:
        known = self._counts.get(name)
        return known if known and known.decides(count, limit, self._clock()) else None

    async def _count(self, name: str) -> _Count:
        began, under_way = self._clock(), self._under_way[name]
        before = self._counts.get(name, _Count(began, 0))
        waiting_before = before.waiting
        counted = await self._count_waiting(name) + under_way
        # Others may have been let in meanwhile.
        found = self._counts[name] = _Count(
            began, counted + before.waiting - waiting_before, self._clock() - began
        )
        if len(self._counts) > _MAX_NAMES:
            self._counts.popitem(last=False)
        return found
