"""Long work in parts: everyone else on the loop gets a turn in between."""

import asyncio
import time
from collections.abc import Sized
from typing import Self

#: A quarter of the 20 ms for which nothing may block the loop.
_SLICE_SECONDS = 0.005
#: To decode a message of so many items may have been a turn by itself.
_MANY_ITEMS = 100


class TimeSlice:
    """One piece of long work, from now on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @classmethod
    async def after_decoding(cls, items: Sized) -> Self:
        """Work on a message that has just been decoded."""
        if len(items) > _MANY_ITEMS:
            await asyncio.sleep(0)
        return cls()

    @property
    def used_up(self) -> bool:
        """Whether it has had the loop for long. Cheap: ask for every item."""
        return time.perf_counter() - self._began >= _SLICE_SECONDS

    async def yield_(self) -> None:
        """Lets others have the loop."""
        await asyncio.sleep(0)
        self._began = time.perf_counter()
