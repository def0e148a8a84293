"""A processor that only returns the time. `Any`, so that there are no schemas."""

import time
from typing import Any

from jobsvc.worker import processor


@processor("timed")
async def timed(job: Any) -> Any:
    """Returns the time at its start and at its end, in seconds since the epoch."""
    started = time.time()
    return {"started": started, "finished": time.time()}
