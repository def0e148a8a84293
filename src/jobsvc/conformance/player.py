"""Plays points, several at a time, each with a program of its own."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from jobsvc.conformance.point import MAX_SECONDS, Point, Result, RuleBroken
from jobsvc.conformance.program import check
from jobsvc.conformance.stage import Stage

S = TypeVar("S", bound=Stage)


async def play(
    points: Sequence[Point[S]],
    new_stage: Callable[[Sequence[str], Path], S],
    command: Sequence[str],
    at_once: int,
) -> AsyncIterator[Result]:
    """Yields the results in the order of the points.

    Raises:
        CommandUnusable: there is no such program.
    """
    check(command)
    free = asyncio.Semaphore(at_once)

    async def one(point: Point[S], folder: Path) -> Result:
        async with free:
            return await _play(point, new_stage(command, folder))

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conformance-")))
        tasks = [asyncio.ensure_future(one(point, folder / point.name)) for point in points]
        stack.push_async_callback(_cancel, tasks)
        for task in tasks:
            yield await task


async def _play(point: Point[S], stage: S) -> Result:
    begin, fault = time.monotonic(), ""
    async with stage:
        try:
            async with asyncio.timeout(MAX_SECONDS):
                await point.script(stage)
        except RuleBroken as broken:
            fault = str(broken)
        except TimeoutError:
            fault = f"it was not done within {MAX_SECONDS:g} s"
        last_words = stage.last_words
    seconds = time.monotonic() - begin
    return Result(point.name, point.states, point.rule, fault, last_words, seconds)


async def _cancel(tasks: Sequence[asyncio.Future[Result]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
