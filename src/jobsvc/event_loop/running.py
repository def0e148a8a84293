"""Loops that run beside a block."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def running(*parts: tuple[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Runs named parts in the background until the end of the block. A part that fails ends it."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(part, name=name) for name, part in parts]
        try:
            yield
        finally:
            for task in started:
                task.cancel()
