"""A measured process's side of the talk with the harness, in lines: it says `ready …`, waits for a
line on standard input, works, answers with one line of JSON, and stays until its input is closed,
so that what it used can be read while it lives."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping


async def wait_for_turn(detail: str = "") -> None:
    """Says that the work can begin, and returns when it may."""
    print(f"ready {detail}".rstrip(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def answer(numbers: Mapping[str, float]) -> None:
    """Hands over the result, and returns when it has been used."""
    print(json.dumps(numbers), flush=True)
    await asyncio.to_thread(sys.stdin.read)
