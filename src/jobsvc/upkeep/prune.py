"""Pruning: removes ended jobs when their retention is over."""

from jobsvc.store.store import Store

_MAX_JOBS = 1000


async def prune_jobs(store: Store) -> int:
    """Removes a batch of ended jobs whose `purge_time` has passed. Returns how many."""
    return await store.upkeep.prune(_MAX_JOBS)
