"""Passes items from any thread to one event loop: one wake-up a burst, not one an item."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Hands its items to `receive`, in order and in batches, on `loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Callable[[list[T]], None]) -> None:
        self._loop = loop
        self._receive = receive
        self._items: deque[T] = deque()
        self._woken = False

    def put(self, item: T) -> None:
        """Adds an item, from any thread. Drops it silently when the loop is closed."""
        self._items.append(item)
        self.wake()

    def put_all(self, items: list[T]) -> None:
        """Adds many items, as `put`."""
        self._items.extend(items)
        self.wake()

    def wake(self) -> None:
        """Schedules the delivery of all items."""
        # Items are added before the flag is read; `_deliver` clears the flag before it
        # takes the items. So no item is left without a wake-up.
        if not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # closed: nobody is there to receive
                self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._woken = False
        items = self._items
        self._receive([items.popleft() for _ in range(len(items))])
