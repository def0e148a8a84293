"""Long work in slices of time: other tasks of the event loop run in between."""

import time
from collections.abc import Generator, Sized
from typing import Self, TypeVar

from jobsvc.event_loop.turns import turn

#: A quarter of the 20 ms for which nothing may block the loop.
_SLICE_SECONDS = 0.005
#: Decoding a message with more items may have used up a slice by itself.
_MANY_ITEMS = 100

T = TypeVar("T")


class TimeSlice:
    """The time that a piece of long work may keep the loop, from now on."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    @classmethod
    async def after_decoding(cls, items: Sized) -> Self:
        """The first slice of the work on a message that has just been decoded."""
        if len(items) > _MANY_ITEMS:
            await turn()
        return cls()

    @property
    def used_up(self) -> bool:
        """Whether the time is over. Cheap: check it for every item."""
        return time.perf_counter() - self._began >= _SLICE_SECONDS

    async def yield_(self) -> None:
        """Lets other tasks run, and begins a new slice."""
        await turn()
        self._began = time.perf_counter()


async def in_slices(steps: Generator[None, None, T]) -> T:
    """Runs short steps to their end, and returns what they return."""
    while True:
        await turn()
        time_slice = TimeSlice()
        try:
            while not time_slice.used_up:
                next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # a T, says the generator's type


def at_once(steps: Generator[None, None, T]) -> T:
    """Runs a few short steps without letting others run, and returns what they return."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a T, says the generator's type
