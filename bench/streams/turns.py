"""A process that takes several turns: for each line on its standard input it does something, and
answers with one line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from statistics import quantiles


async def begin(numbers: Mapping[str, float] | None = None) -> bool:
    """Says how the turn before went, `ready` the first time, and waits for the next one.

    False when there is none.
    """
    print("ready" if numbers is None else json.dumps(numbers), flush=True)
    return bool(await asyncio.to_thread(sys.stdin.readline))


def spread(name: str, seconds: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds, by name."""
    parts = quantiles(seconds, n=100) if len(seconds) > 1 else seconds * 99
    return {
        f"{name} p50": 1000 * parts[49],
        f"{name} p99": 1000 * parts[98],
        f"{name} max": 1000 * max(seconds),
    }
