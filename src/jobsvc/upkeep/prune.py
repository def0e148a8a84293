"""Pruning: ended jobs whose retention is over are removed."""

from jobsvc.store.store import Store

_MOST = 1000


async def prune_jobs(store: Store) -> int:
    """Removes a batch of ended jobs whose `purge_time` has passed, and counts them."""
    return await store.upkeep.prune(_MOST)
