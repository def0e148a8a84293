"""The limit on the jobs that wait in a queue: counted now and then, not for every creation."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from jobsvc.domain.errors import QueueFull
from jobsvc.store.queues import QueueStore

#: How old a count may be that shows room, and one that shows none.
_ROOM_SECONDS = 1.0
_FULL_SECONDS = 0.1
#: Queues whose counts are kept.
_MAX_QUEUES = 1000


@dataclass(slots=True)
class _Count:
    time: float
    #: Jobs that waited then, and those that were let in since.
    waiting: int

    def decides(self, count: int, limit: int, now: float) -> bool:
        """Whether it is young enough to say whether `count` more may wait."""
        has_room = self.waiting + count <= limit
        return now - self.time < (_ROOM_SECONDS if has_room else _FULL_SECONDS)


class WaitingLimit:
    """Lets jobs into queues that have a `max_waiting`."""

    def __init__(self, queues: QueueStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._queues = queues
        self._clock = clock
        self._counts: OrderedDict[str, _Count] = OrderedDict()
        #: Jobs let in by calls that have not ended: a count may not see them yet.
        self._under_way: Counter[str] = Counter()
        #: Held to count: of those who find no count, one makes it for all.
        self._counting = asyncio.Lock()

    async def let_in(self, name: str, count: int, limit: int) -> None:
        """Lets `count` jobs into a queue in which `limit` may wait. They count as long as the task
        runs that asks, and in the table from then on.

        Raises:
            QueueFull: there is no room for all of them.
        """
        known = self._decisive(name, count, limit)
        if known is None:
            async with self._counting:
                known = self._decisive(name, count, limit) or await self._count(name)
        if known.waiting + count > limit:
            raise QueueFull(name, limit)
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
        counted = await self._queues.count_waiting(name) + under_way
        # Others may have been let in meanwhile.
        found = self._counts[name] = _Count(began, counted + before.waiting - waiting_before)
        if len(self._counts) > _MAX_QUEUES:
            self._counts.popitem(last=False)
        return found
