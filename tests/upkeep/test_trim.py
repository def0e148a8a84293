"""Memory that large requests have used goes back to the system."""

import ctypes
import subprocess
import sys

import pytest

#: In a process of its own, whose memory nothing else uses: its resident MiB more than at first,
#: with memory that was given up, after a trim for nothing, and after one for a reason.
_PROGRAM = """
import asyncio
from pathlib import Path
from jobsvc.upkeep.trim import trim_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

before = resident()
blocks = [bytes(4000) for _ in range(25_000)]
kept = blocks[::50]
del blocks
print(resident() - before)
print(asyncio.run(trim_memory(lambda: 0)), resident() - before)
print(asyncio.run(trim_memory(lambda: 100 << 20)), resident() - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_memory_between_what_is_in_use_goes_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60
    )
    given_up, trims, idle, trimmed, left = map(int, done.stdout.split())
    assert given_up > 50, "it has not gone back by itself"
    assert (trims, trimmed) == (0, 1)
    assert idle > 50
    assert left < 25
