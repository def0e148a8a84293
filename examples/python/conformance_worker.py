"""The processor that `jobsvc conformance worker` wants, with the SDK.

jobsvc conformance worker jobsvc work examples/python/conformance_worker.py
"""

import asyncio
from typing import Any

from jobsvc.worker import Retry, processor


@processor("conformance")
async def conform(input: dict[str, Any]) -> dict[str, Any]:
    """Returns its input; waits, cleans up and fails as that says."""
    try:
        await asyncio.sleep(input.get("sleep_ms", 0) / 1000)
    except asyncio.CancelledError:
        await asyncio.sleep(input.get("cleanup_ms", 0) / 1000)
        raise
    if "fail" in input:
        raise Retry(input["fail"])
    return input
