"""A processor that leaves 2 MB in a reference cycle. `Any`, so that its queue gets no schemas."""

from typing import Any

from jobsvc.worker import processor

_BYTES = 2 * 1024 * 1024


@processor("noop")
async def leave_cycle(job: Any) -> Any:
    """Ends at once, without an output; only the collector can free what it leaves."""
    held: dict[str, Any] = {"bytes": bytearray(_BYTES)}
    held["self"] = held
