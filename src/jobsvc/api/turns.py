"""Long work in parts: everyone else on the loop gets a turn in between."""

import asyncio
import time

#: A quarter of the 20 ms for which nothing may block the loop.
_TURN_SECONDS = 0.005


class Turns:
    """One piece of long work, from now on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def give(self) -> None:
        """Lets others have the loop, if this has had it for long. Cheap: call it for every item."""
        if time.perf_counter() - self._began >= _TURN_SECONDS:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
