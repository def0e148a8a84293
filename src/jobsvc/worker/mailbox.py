"""The way from any thread to one event loop: one wake-up a burst, not one an item."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Hands what is put into it to `receive`, in order and in batches, on `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Callable[[list[T]], None]) -> None:
        self._loop = loop
        self._receive = receive
        self._items: deque[T] = deque()
        self._woken = False

    def put(self, item: T) -> None:
        """Leaves an item, from any thread. Dropped silently when the loop is closed."""
        self._items.append(item)
        self.wake()

    def put_all(self, items: list[T]) -> None:
        """Leaves many."""
        self._items.extend(items)
        self.wake()

    def wake(self) -> None:
        """Sees to it that what is in the box is delivered."""
        # Append, then look at the flag; `_deliver` clears the flag, then empties
        # the box: so nothing stays behind unannounced.
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # closed: nobody is left to be told
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        items = self._items
        self._receive([items.popleft() for _ in range(len(items))])
