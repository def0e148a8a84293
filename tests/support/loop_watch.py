"""Sees for how long the event loop is kept from everyone else."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: Shorter passes are what a loop is made of.
_LEAST_SECONDS = 0.001


@asynccontextmanager
async def loop_watched() -> AsyncIterator[list[float]]:
    """A list of how long each pass of the loop has taken that was no short one.

    In seconds of the thread's own time: a machine that is busy elsewhere does not lengthen them.
    """
    passes: list[float] = []

    async def watch() -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            seconds = time.thread_time() - began
            if seconds >= _LEAST_SECONDS:
                passes.append(seconds)

    gc.collect()
    gc.disable()
    watching = asyncio.create_task(watch())
    try:
        yield passes
    finally:
        watching.cancel()
        gc.enable()
