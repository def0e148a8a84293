"""Expiry: waiting jobs fail once they have expired or have not started in time."""

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
