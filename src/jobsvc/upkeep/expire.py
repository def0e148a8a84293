"""Expiry: waiting jobs fail once they have expired or have not started in time."""

from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

#: Jobs of a batch, of each kind.
MAX_JOBS = 1000


async def expire_jobs(store: Store, hints: Hints, settings: Settings) -> int:
    """Fails a batch of waiting jobs that expired or did not start in time. Returns how many."""
    expired = await store.upkeep.expire(MAX_JOBS, settings.failed_retention_seconds)
    hints.tell(expired)
    return len(expired)
