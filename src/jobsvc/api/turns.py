"""Long work in parts: everyone else on the loop gets a turn in between."""

import asyncio
import time

#: A quarter of the 20 ms for which nothing may block the loop.
_TURN_SECONDS = 0.005


class Turns:
    """One piece of long work, from now on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @property
    def due(self) -> bool:
        """Whether it has had the loop for long. Cheap: ask for every item."""
        return time.perf_counter() - self._began >= _TURN_SECONDS

    async def give(self) -> None:
        """Lets others have the loop."""
        await asyncio.sleep(0)
        self._began = time.perf_counter()
