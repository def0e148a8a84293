"""Threads for plain `def` processors, of which some may never come back."""

import queue
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class ThreadPool(Generic[T]):
    """Runs `work(item)` for each item, on at most `size` threads that are not given up.

    Unlike the standard one it can give up a thread that hangs, taking another in
    its place, and does not hold up the exit of the process for it. `work` must
    not raise.
    """

    def __init__(self, size: int, work: Callable[[T], None]) -> None:
        self._size = size
        self._work = work
        self._items: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        #: Threads without an item, and items without a thread. A thread that is
        #: about to take an item counts as both, so the difference is right.
        self._idle = 0
        self._queued = 0
        self._threads = 0
        self._running: set[T] = set()
        self._abandoned: set[T] = set()
        self._closed = False

    @property
    def abandoned(self) -> int:
        """How many threads were given up and still run."""
        return len(self._abandoned)

    def submit(self, item: T) -> None:
        """Runs `item` as soon as a thread is free."""
        with self._lock:
            self._items.put(item)
            self._queued += 1
            self._grow()

    def abandon(self, item: T) -> None:
        """Counts on the thread that runs `item` no longer; it ends when it comes back."""
        with self._lock:
            if item in self._running and item not in self._abandoned:
                self._abandoned.add(item)
                self._grow()

    def close(self) -> None:
        """Lets the threads end, each after what it runs. Does not wait for them."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._items.put(None)

    def _grow(self) -> None:
        useful = self._threads - len(self._abandoned)
        if self._queued > self._idle and useful < self._size and not self._closed:
            self._threads += 1
            self._idle += 1
            # A daemon: a processor that hangs must not keep the process alive.
            threading.Thread(target=self._serve, name="processor", daemon=True).start()

    def _serve(self) -> None:
        while True:
            item = self._items.get()
            with self._lock:
                self._idle -= 1
                if item is None:
                    self._threads -= 1
                    return
                self._queued -= 1
                self._running.add(item)
            self._work(item)
            with self._lock:
                self._running.discard(item)
                if item in self._abandoned:
                    self._abandoned.discard(item)
                    self._threads -= 1
                    return
                self._idle += 1
            del item
