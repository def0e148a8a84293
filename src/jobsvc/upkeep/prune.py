"""Pruning: removes ended jobs when their retention is over. Those whose request ids must be
remembered for longer are emptied first. So do bulk operations that have ended, entries of the
audit, minutes of queues, and schemas that nothing refers to any more."""

from jobsvc.settings import Settings
from jobsvc.store.store import Store

#: Jobs of a batch.
MAX_JOBS = 1000
#: So many jobs may outlive all others, and a schema can still be known to be unused.
MAX_OLD_JOBS = 10_000


async def prune_jobs(store: Store, settings: Settings) -> int:
    """Removes or empties a batch of ended jobs whose `purge_time` has passed. Returns how many."""
    return await store.upkeep.prune(MAX_JOBS, settings.request_id_seconds)


async def prune_bulk_operations(store: Store) -> int:
    """Removes a batch of bulk operations whose `purge_time` has passed. Returns how many."""
    return await store.bulk_operations.prune(MAX_JOBS)


async def prune_audit(store: Store, settings: Settings) -> int:
    """Removes a batch of entries of the audit whose retention is over. Returns how many."""
    return await store.audit.prune(MAX_JOBS, settings.audit_retention_seconds)


async def prune_history(store: Store) -> int:
    """Removes a batch of minutes of queues that are older than a day. Returns how many."""
    return await store.queue_history.prune(MAX_JOBS)


async def prune_schemas(store: Store) -> int:
    """Removes schemas that no queue and no job has. Returns how many."""
    return await store.upkeep.prune_schemas(MAX_OLD_JOBS)
