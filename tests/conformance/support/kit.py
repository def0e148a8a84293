"""Points played with programs of the tests."""

import asyncio
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jobsvc.conformance.player import play
from jobsvc.conformance.point import Point, Result

SUPPORT = Path(__file__).parent
#: Points mostly wait, so that more of them do not take longer.
AT_ONCE = 6


def tiny(name: str, fault: str = "") -> list[str]:
    """The command of a tiny program, which breaks the rule of one point."""
    return [sys.executable, str(SUPPORT / f"{name}.py"), *([fault] if fault else [])]


# Any: points about workers and about clients are played on stages of their own.
async def results_of(
    points: Sequence[Point[Any]], new_stage: Callable[..., Any], command: Sequence[str]
) -> list[Result]:
    """What comes of points with one program."""
    return [result async for result in play(points, new_stage, command, AT_ONCE)]


async def faults_of(
    points: Sequence[Point[Any]], new_stage: Callable[..., Any], name: str
) -> dict[str, str]:
    """What is seen at each point with the program that breaks its rule; empty if it passes."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(point: Point[Any]) -> str:
        async with free:
            (result,) = await results_of([point], new_stage, tiny(name, point.name))
            return result.fault

    found = await asyncio.gather(*map(one, points))
    return {point.name: fault for point, fault in zip(points, found, strict=True)}


async def variants_of(
    variants: Iterable[str], points: Sequence[Point[Any]], new_stage: Callable[..., Any], name: str
) -> dict[str, str]:
    """What is seen with programs that break the rule of a point in another way, `point:way`."""
    by_name = {point.name: point for point in points}
    free = asyncio.Semaphore(AT_ONCE)

    async def one(variant: str) -> tuple[str, str]:
        async with free:
            point = by_name[variant.partition(":")[0]]
            (result,) = await results_of([point], new_stage, tiny(name, variant))
            return variant, result.fault

    return dict(await asyncio.gather(*map(one, variants)))
