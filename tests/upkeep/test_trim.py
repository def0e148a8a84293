"""Memory that large requests have used goes back to the system."""

import ctypes
from pathlib import Path

import pytest

from jobsvc.upkeep.trim import trim_memory

_MIB = 1 << 20


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
async def test_memory_between_what_is_in_use_goes_back() -> None:
    before = _resident_bytes()
    blocks = [bytes(4000) for _ in range(25_000)]
    kept = blocks[::50]
    del blocks
    assert _resident_bytes() > before + 50 * _MIB, "nothing has gone back by itself"
    assert await trim_memory(lambda: 0) == 0
    assert _resident_bytes() > before + 50 * _MIB
    assert await trim_memory(lambda: 100 * _MIB) == 1
    assert _resident_bytes() < before + 25 * _MIB
    assert kept
