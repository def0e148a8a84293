"""Expiry: waiting jobs fail whose `expire_time` has passed, or the end of their `start_within`."""

from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

_MOST = 1000


async def expire_jobs(store: Store, hints: Hints, settings: Settings) -> int:
    """Fails a batch of waiting jobs that expired or did not start in time, and counts them."""
    expired = await store.upkeep.expire(
        _MOST, settings.failed_retention_seconds, settings.request_id_seconds
    )
    hints.tell(expired)
    return len(expired)
