"""An event loop in a thread of its own: a test that blocks does not hold up a server there."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

from jobsvc.event_loop.loop_factory import new_event_loop

T = TypeVar("T")


class Background:
    """A running loop. `background` makes it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        """Begins a coroutine on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the loop, for a coroutine on another one."""
        return await asyncio.wrap_future(self.submit(work))

    @contextmanager
    def entered(self, context: AbstractAsyncContextManager[T]) -> Iterator[T]:
        """Enters an asynchronous context on the loop, and leaves it there at the end of the block.

        Raises: as the context, also when it ends by itself.
        """
        ready: Future[T] = Future()
        stop = asyncio.Event()

        async def hold() -> None:
            async with context as value:
                ready.set_result(value)
                await stop.wait()

        held = self.submit(hold())
        held.add_done_callback(lambda done: _fail(ready, done))
        value = ready.result()
        try:
            yield value
        finally:
            self._loop.call_soon_threadsafe(stop.set)
            held.result()


def _fail(ready: "Future[T]", done: "Future[None]") -> None:
    """Passes the failure to enter a context on."""
    if not ready.done():
        ready.set_exception(done.exception() or RuntimeError("it was cancelled"))


@contextmanager
def background() -> Iterator[Background]:
    """Runs a loop in a thread until the end of the block."""
    loop = new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="jobsvc test server", daemon=True)
    thread.start()
    try:
        yield Background(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
