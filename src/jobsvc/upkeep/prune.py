"""Pruning: removes ended jobs when their retention is over. Those whose request ids must be
remembered for longer are emptied first."""

from jobsvc.settings import Settings
from jobsvc.store.store import Store

_MAX_JOBS = 1000


async def prune_jobs(store: Store, settings: Settings) -> int:
    """Removes or empties a batch of ended jobs whose `purge_time` has passed. Returns how many."""
    return await store.upkeep.prune(_MAX_JOBS, settings.request_id_seconds)
