"""A measured process's side of the line protocol with the benchmark.

The process prints `ready …`, waits for a line on standard input, works, prints its result as one
line of JSON, and stays until its input is closed, so that its costs can be read while it lives.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping


async def wait_for_start(detail: str = "") -> None:
    """Prints that the process is ready, and returns when it may start to work."""
    print(f"ready {detail}".rstrip(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def send_result(numbers: Mapping[str, float]) -> None:
    """Prints the result, and returns when the input is closed."""
    print(json.dumps(numbers), flush=True)
    await asyncio.to_thread(sys.stdin.read)
