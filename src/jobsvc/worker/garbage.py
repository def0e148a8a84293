"""Bounds the memory that is held by cyclic garbage.

Python's collector counts objects, not bytes: it lets hundreds of jobs leave their cycles
behind, whatever each of them holds. So the memory of the process says when to collect, too.
"""

import asyncio
import gc
import os
import time
from math import inf

#: Least growth that a full collection follows.
_STEP_BYTES = 64 * 1024 * 1024
#: The step of a large process, as a share of its memory.
_STEP_SHARE = 0.25
#: Share of the time for collections that growth does not ask for.
_TIME_SHARE = 0.01
_LOOK_SECONDS = 0.05


class GarbageBound:
    """Says when a full collection is due. Pure: memory and the clock's reading are arguments."""

    def __init__(self, memory_bytes: int) -> None:
        self._least = memory_bytes
        self._limit = _above(memory_bytes)
        self._again_at = -inf

    def due(self, memory_bytes: int, now: float) -> bool:
        """Whether to collect now: the memory has grown by a step since the last collection.

        The allocator may keep what was freed, and garbage that fills it again shows as no
        growth. So memory that is a step above the least that a collection has left is also a
        reason, once a hundred times as long has passed as the last collection took.
        """
        if memory_bytes >= self._limit:
            return True
        return memory_bytes >= _above(self._least) and now >= self._again_at

    def collected(self, memory_bytes: int, began: float, ended: float) -> None:
        """Notes a collection, and the memory that it left."""
        self._least = min(self._least, memory_bytes)
        self._limit = _above(memory_bytes)
        self._again_at = ended + (ended - began) / _TIME_SHARE


async def bound_garbage() -> None:
    """Collects whenever it is due, on this event loop, until cancelled.

    Returns at once where the system does not tell a process its memory: not on Linux. There
    Python's own rules are all.
    """
    try:
        file = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        bound = GarbageBound(_resident_bytes(file))
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            began = time.monotonic()
            # A program that has switched the collector off has its reasons.
            if bound.due(_resident_bytes(file), began) and gc.isenabled():
                gc.collect()
                bound.collected(_resident_bytes(file), began, time.monotonic())
    finally:
        os.close(file)


def _above(memory_bytes: int) -> int:
    return memory_bytes + max(_STEP_BYTES, int(_STEP_SHARE * memory_bytes))


def _resident_bytes(file: int) -> int:
    return int(os.pread(file, 128, 0).split()[1]) * os.sysconf("SC_PAGE_SIZE")
