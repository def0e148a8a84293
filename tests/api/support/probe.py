"""Waits for something that will be so, by looking again and again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_SECONDS = 15.0


async def eventually(look: Callable[[], Awaitable[T]], wanted: Callable[[T], object] = bool) -> T:
    """What `look` answers as soon as it is `wanted`. Fails when that takes too long."""
    seen: list[T] = []
    try:
        async with asyncio.timeout(_SECONDS):
            while True:
                seen = [await look()]
                if wanted(seen[0]):
                    return seen[0]
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {_SECONDS:g} s; at last: {seen}") from None
