"""How the queues are doing, for those who ask again and again: one statement at a time for all."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobsvc.domain.errors import QueueNotFound, ServerDraining
from jobsvc.domain.queue import QueueCounts
from jobsvc.store.queues import QueueStore
from jobsvc.store.repeat import repeat

#: How old counts may be that are answered with.
_FRESH_SECONDS = 1.0
#: How often the counts of watched queues are read.
_READ_SECONDS = 2.0
#: A queue about which nobody has asked for longer is not read with the others.
_ASKED_SECONDS = 60.0
#: Queues that are read in one statement.
_MAX_NAMES = 100


class QueueWatch:
    """Somebody who wants to see every reading of one queue."""

    def __init__(self, queue: str) -> None:
        self.queue = queue
        self._latest: QueueCounts | None = None
        self._draining = False
        self._event = asyncio.Event()

    def tell(self, counts: QueueCounts | None) -> None:
        """Hands over a reading, in place of one that was not taken; None when the queue is gone."""
        self._latest = counts
        self._event.set()

    def drain(self) -> None:
        """Ends the waiting: this replica is about to exit."""
        self._draining = True
        self._event.set()

    async def next(self) -> QueueCounts:
        """Waits for a reading. There is none while the database is away.

        Raises:
            QueueNotFound: the queue is gone.
            ServerDraining: the replica is about to exit.
        """
        await self._event.wait()
        if self._draining:
            raise ServerDraining("the server is about to go; watch again")
        self._event.clear()
        if self._latest is None:
            raise QueueNotFound(self.queue)
        return self._latest


class QueueStatistics:
    """The counts of queues on this replica.

    Whoever asks gets what was read within a second, or makes a reading for all queues that were
    asked for lately; so the number of statements does not grow with that of queues or of readers.
    """

    def __init__(self, queues: QueueStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._queues = queues
        self._clock = clock
        #: When a queue was read, and what was found.
        self._known: dict[str, tuple[float, QueueCounts]] = {}
        #: When somebody asked for a queue that exists.
        self._asked: dict[str, float] = {}
        self._watches: set[QueueWatch] = set()
        self._draining = False
        #: Held to read: of those who find nothing fresh, one reads for all.
        self._reading = asyncio.Lock()

    async def read(self, queue: str) -> QueueCounts:
        """Returns how a queue is doing, or was within the last second.

        Raises:
            QueueNotFound: there is no such queue.
            DatabaseUnavailable: it does not answer. Old counts would be taken for true ones.
        """
        found = self._fresh(queue)
        if found is None:
            async with self._reading:
                found = self._fresh(queue)
                if found is None:
                    await self._read({queue, *self._recently_asked()})
                    found = self._fresh(queue)
        if found is None:
            raise QueueNotFound(queue)
        self._asked[queue] = self._clock()
        return found

    @contextmanager
    def watch(self, queue: str) -> Iterator[QueueWatch]:
        """Has a queue read every two seconds until the end of the block."""
        watch = QueueWatch(queue)
        if self._draining:
            watch.drain()
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def drain(self) -> None:
        """Ends all watches, also those to come: this replica is about to exit."""
        self._draining = True
        for watch in self._watches:
            watch.drain()

    async def run(self) -> None:
        """Reads for the watches, until cancelled."""
        await repeat(_READ_SECONDS, self.read_watched)

    async def read_watched(self) -> None:
        """Reads all watched queues once, if there are any, and tells their watches."""
        watches = list(self._watches)
        async with self._reading:
            await self._read({watch.queue for watch in watches})
        for watch in watches:
            known = self._known.get(watch.queue)
            watch.tell(known and known[1])

    def _fresh(self, queue: str) -> QueueCounts | None:
        known = self._known.get(queue)
        if known is None or self._clock() - known[0] > _FRESH_SECONDS:
            return None
        return known[1]

    def _recently_asked(self) -> list[str]:
        oldest = self._clock() - _ASKED_SECONDS
        self._asked = {queue: asked for queue, asked in self._asked.items() if asked > oldest}
        self._known = {queue: self._known[queue] for queue in self._asked if queue in self._known}
        return list(self._asked)

    async def _read(self, queues: set[str]) -> None:
        names = sorted(queues)
        for start in range(0, len(names), _MAX_NAMES):
            part, began = names[start : start + _MAX_NAMES], self._clock()
            counted = {counts.name: counts for counts in await self._queues.count(part)}
            for name in part:
                self._known.pop(name, None)
                if name in counted:
                    self._known[name] = (began, counted[name])
