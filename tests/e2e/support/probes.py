"""Waiting for something to be seen. Nothing here sleeps and hopes: every wait is for a fact."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_SECONDS = 0.02


async def until(
    probe: Callable[[], T | Awaitable[T]], seconds: float, what: str | Callable[[], str]
) -> T:
    """The first true answer of `probe`, which is asked again and again.

    Raises:
        AssertionError: `what` was not to be seen in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(
                f"not seen within {seconds:g} s: {what if isinstance(what, str) else what()}"
            )
        await asyncio.sleep(_PAUSE_SECONDS)
