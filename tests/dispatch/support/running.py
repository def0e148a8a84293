"""A dispatcher at work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jobsvc.dispatch.dispatcher import Dispatcher

_SOON_SECONDS = 10.0


@asynccontextmanager
async def running(dispatcher: Dispatcher) -> AsyncIterator[None]:
    """Runs it until the end of the block, which must come soon."""
    task = asyncio.ensure_future(dispatcher.run())
    try:
        async with asyncio.timeout(_SOON_SECONDS):
            yield
    finally:
        task.cancel()
        await asyncio.wait([task])
