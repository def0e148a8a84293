"""Waits for a fact, by asking for it again and again."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE_SECONDS = 0.01


async def eventually(
    probe: Callable[[], T | Awaitable[T]],
    wanted: Callable[[T], object] = bool,
    *,
    seconds: float = 30.0,
    what: str | Callable[[], str] = "it",
) -> T:
    """Returns the first answer of `probe` that is `wanted`.

    Raises:
        AssertionError: there was none in time; names `what` was waited for.
    """
    asked: list[T] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                answer = probe()
                asked = [await answer if inspect.isawaitable(answer) else answer]
                if wanted(asked[0]):
                    return asked[0]
                await asyncio.sleep(_PAUSE_SECONDS)  # Between two tries.
    except TimeoutError:
        name = what if isinstance(what, str) else what()
        raise AssertionError(f"{name} not within {seconds:g} s; at last: {asked}") from None


async def until_still(probe: Callable[[], Awaitable[object]], seconds: float = 1.0) -> None:
    """Returns when the answer of `probe` has stayed the same for so long."""
    before = await probe()
    still_since = time.monotonic()
    while time.monotonic() - still_since < seconds:
        await asyncio.sleep(_PAUSE_SECONDS)  # Between two tries.
        answer = await probe()
        if answer != before:
            before, still_since = answer, time.monotonic()


def blocking_eventually(probe: Callable[[], T], *, seconds: float = 30.0, what: str = "it") -> T:
    """Returns the first true answer of `probe`, for tests without a loop.

    Raises:
        AssertionError: there was none in time; names `what` was waited for.
    """
    deadline = time.monotonic() + seconds
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"{what} not within {seconds:g} s"
        time.sleep(_PAUSE_SECONDS)  # Between two tries.
    return answer
