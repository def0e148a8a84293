"""Memory: the C library keeps what large requests have used, in pieces between what is still in
use, until it is told to give it back."""

import asyncio
import ctypes
from collections.abc import Callable

#: What fewer bytes of requests and answers leave behind is not worth the time.
_MIN_BYTES = 8 << 20


async def trim_memory(take_peak: Callable[[], int]) -> int:
    """Gives memory back if many bytes were in progress, as `take_peak` says. Returns whether it
    did: 0 or 1."""
    # Of the GNU C library; others have none, and keep less.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None or take_peak() < _MIN_BYTES:
        return 0
    # It takes some 20 ms for 150 MiB.
    await asyncio.to_thread(trim, 0)
    return 1
