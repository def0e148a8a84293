"""The processor that `jobsvc conformance worker` wants, with the SDK.

jobsvc conformance worker jobsvc work examples/python/conformance_worker.py
"""

import asyncio
from typing import Any

from jobsvc.worker import Retry, processor


@processor("conformance")
async def conform(input: dict[str, Any]) -> dict[str, Any]:
    """Returns its input; waits and fails as that says."""
    await asyncio.sleep(input.get("sleep_ms", 0) / 1000)
    if "fail" in input:
        raise Retry(input["fail"])
    return input
