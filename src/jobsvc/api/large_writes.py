"""How many large batches of a caller the database writes at a time: each keeps one of its cores
busy, and short statements of others wait for that."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from jobsvc.event_loop.turns import turn, turn_caller


class LargeWrites:
    """Room for so many large writes of each caller at a time; others wait, in their order."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rooms: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Room for a write of the caller in progress, which takes a turn first: to send it to the
        database takes milliseconds, too."""
        caller = turn_caller.get()
        room = self._rooms.get(caller)
        if room is None:
            room = self._rooms[caller] = asyncio.Semaphore(self._most)
        async with room:
            await turn()
            yield
