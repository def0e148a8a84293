"""A processor that does nothing, and says when it did."""

import time
from typing import Any

from workers import processor


@processor("noop")
async def noop(job: dict[str, Any]) -> dict[str, Any]:
    started = time.time()
    return {"started": started, "finished": time.time()}
