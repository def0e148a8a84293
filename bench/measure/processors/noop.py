"""A processor that does nothing. `Any`, so that its queue gets no schemas to check."""

from typing import Any

from jobsvc.worker import processor


@processor("noop")
async def noop(job: Any) -> Any:
    """Ends at once, without an output."""
