"""Long work in slices of time: other tasks of the event loop run in between."""

import asyncio
import time
from collections.abc import Sized
from typing import Self

#: A quarter of the 20 ms for which nothing may block the loop.
_SLICE_SECONDS = 0.005
#: Decoding a message with more items may have used up a slice by itself.
_MANY_ITEMS = 100


class TimeSlice:
    """The time that a piece of long work may keep the loop, from now on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @classmethod
    async def after_decoding(cls, items: Sized) -> Self:
        """The first slice of the work on a message that has just been decoded."""
        if len(items) > _MANY_ITEMS:
            await asyncio.sleep(0)
        return cls()

    @property
    def used_up(self) -> bool:
        """Whether the time is over. Cheap: check it for every item."""
        return time.perf_counter() - self._began >= _SLICE_SECONDS

    async def yield_(self) -> None:
        """Lets other tasks run, and begins a new slice."""
        await asyncio.sleep(0)
        self._began = time.perf_counter()
