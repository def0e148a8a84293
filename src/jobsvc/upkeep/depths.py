"""Depths: once a minute some replica writes how many jobs of each queue wait and run."""

from jobsvc.domain.queue_history import MAX_QUEUES
from jobsvc.store.store import Store


async def write_depths(store: Store) -> None:
    """Writes the depths of the queues with the most jobs, unless a replica has done so in this
    minute already. Two replicas that do it at once do no harm."""
    if await store.queue_history.are_depths_known():
        return
    counts = [c for c in await store.queues.count(None) if c.ready or c.processing]
    counts.sort(key=lambda c: c.ready + c.processing, reverse=True)
    if counts:
        await store.queue_history.add_depths(
            [(c.name, c.ready, c.processing) for c in counts[:MAX_QUEUES]]
        )
