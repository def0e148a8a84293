"""Leases of a worker that subscribes again: those that it still holds are taken over by the new
stream, the others go back to their queues."""

from collections.abc import Collection, Iterable, Sequence

from jobsvc.api.convert.leases import lease_status
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.domain.lease import Extension, LeaseId
from jobsvc.store.store import Store
from jobsvc.v1 import worker_service_pb2 as pb

#: Leases taken over in one go: ten thousand would block the loop for 50 ms.
_MAX_PART = 1000


async def take_over(
    store: Store, worker: ConnectedWorker, lease_ids: Iterable[str], max_part: int = _MAX_PART
) -> list[pb.LeaseStatus]:
    """Extends the leases, counts those that are current as held, and returns the status of each.

    Raises:
        DatabaseUnavailable: they may or may not have been extended.
    """
    asked = list(dict.fromkeys(lease_ids))
    statuses: list[pb.LeaseStatus] = []
    for start in range(0, len(asked), max_part):
        statuses += await _take_over_part(store, worker, asked[start : start + max_part])
    return statuses


async def holds_any(store: Store, worker_id: str, lease_ids: Iterable[str]) -> bool:
    """Whether the worker holds any of these leases now.

    Raises:
        DatabaseUnavailable: nobody knows.
    """
    parsed = [lease_id for text in lease_ids if (lease_id := LeaseId.parse(text)) is not None]
    for start in range(0, len(parsed), _MAX_PART):
        current = await store.leases.read(parsed[start : start + _MAX_PART])
        if any(terms.worker_id == worker_id for terms in current.values()):
            return True
    return False


async def redeliver_unlisted(
    store: Store, redelivery: Redelivery, worker_id: str, listed: Collection[LeaseId]
) -> list[LeaseId]:
    """Redelivers the leases that the database has under this worker, and the worker does not list.
    Returns them.

    Raises:
        DatabaseUnavailable: they may or may not have been redelivered.
    """
    leases = await store.leases.of_worker(worker_id)
    unlisted = [lease_id for lease_id in leases if lease_id not in listed]
    await redelivery.redeliver_now(unlisted, confirmed_too=True)
    return unlisted


async def _take_over_part(
    store: Store, worker: ConnectedWorker, texts: Sequence[str]
) -> list[pb.LeaseStatus]:
    parsed = {text: LeaseId.parse(text) for text in texts}
    ids = [lease_id for lease_id in parsed.values() if lease_id is not None]
    results = await store.leases.extensions.submit(
        [Extension(lease_id, worker_id=worker.worker_id) for lease_id in ids]
    )
    extended = dict(zip(ids, results, strict=True))
    for result in results:
        if isinstance(result, Exception):
            raise result
    current = await store.leases.read([i for i in ids if extended[i] is not None])
    for lease_id, terms in current.items():
        worker.leases[lease_id] = terms
        worker.subscription.hold(terms.queue, 1)
    return [
        lease_status(
            text,
            extended[lease_id] if lease_id is not None and lease_id in current else None,  # type: ignore[arg-type]  # no errors left
        )
        for text, lease_id in parsed.items()
    ]
