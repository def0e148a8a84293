"""The protocol of a process that works in several steps: for each line on its standard input the
process takes one step, and prints the result as one line of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from statistics import quantiles


async def next_step(result: Mapping[str, float] | None = None) -> bool:
    """Prints the result of the step before, `ready` the first time, and waits for the next one.

    False when there is none.
    """
    print("ready" if result is None else json.dumps(result), flush=True)
    return bool(await asyncio.to_thread(sys.stdin.readline))


def percentiles(name: str, seconds: list[float]) -> dict[str, float]:
    """Percentiles in milliseconds, by name."""
    parts = quantiles(seconds, n=100) if len(seconds) > 1 else seconds * 99
    return {
        f"{name} p50": 1000 * parts[49],
        f"{name} p99": 1000 * parts[98],
        f"{name} max": 1000 * max(seconds),
    }
