"""Threads for plain `def` processors, some of which may never return."""

import logging
import queue
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

log = logging.getLogger("jobsvc.worker")


class ThreadPool(Generic[T]):
    """Runs `work(item)` for each item, on at most `size` threads that are not abandoned.

    Unlike the standard pool, this one can abandon a thread that hangs: another
    thread replaces it, and the exit of the process does not wait for it. `work`
    must not raise.
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
        """How many threads are abandoned and still run."""
        return len(self._abandoned)

    def submit(self, item: T) -> None:
        """Runs `item` as soon as a thread is free.

        Raises:
            RuntimeError: there is no thread, and the system has none to give.
        """
        with self._lock:
            self._queued += 1
            try:
                self._grow()
            except RuntimeError:
                self._queued -= 1
                raise
            self._items.put(item)

    def abandon(self, item: T) -> None:
        """Abandons the thread that runs `item`; when it returns it ends, if it was replaced."""
        with self._lock:
            if item in self._running and item not in self._abandoned:
                self._abandoned.add(item)
                # Without another thread, queued items wait for this one.
                with suppress(RuntimeError):
                    self._grow()

    def close(self) -> None:
        """Lets each thread end after its item. Does not wait for them."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._items.put(None)

    @property
    def _useful(self) -> int:
        return self._threads - len(self._abandoned)

    def _grow(self) -> None:
        if self._queued > self._idle and self._useful < self._size and not self._closed:
            # A daemon: a processor that hangs must not keep the process alive.
            thread = threading.Thread(target=self._serve, name="processor", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                if not self._useful:
                    raise
                log.warning("only %d threads: %s", self._useful, error)
                return
            self._threads += 1
            self._idle += 1

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
                self._abandoned.discard(item)
                if self._useful > self._size:
                    self._threads -= 1
                    return
                self._idle += 1
            del item
