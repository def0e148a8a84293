"""Leases that a worker held on an earlier stream, and goes on with on this one."""

from collections.abc import Iterable, Sequence

from jobsvc.api.convert.leases import lease_status
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.domain.lease import Extension, LeaseId
from jobsvc.store.leases import LeaseStore
from jobsvc.v1 import worker_service_pb2 as pb

#: Leases taken over in one go: ten thousand would block the loop for 50 ms.
_MAX_TAKEN = 1000


async def take_over(
    leases: LeaseStore, stream: ConnectedWorker, lease_ids: Iterable[str]
) -> list[pb.LeaseStatus]:
    """Extends the leases, counts those that are current as held, and says how each stands.

    Raises:
        DatabaseUnavailable: they may or may not have been extended.
    """
    asked = list(dict.fromkeys(lease_ids))
    statuses: list[pb.LeaseStatus] = []
    for start in range(0, len(asked), _MAX_TAKEN):
        statuses += await _take_some(leases, stream, asked[start : start + _MAX_TAKEN])
    return statuses


async def _take_some(
    leases: LeaseStore, stream: ConnectedWorker, texts: Sequence[str]
) -> list[pb.LeaseStatus]:
    parsed = {text: LeaseId.parse(text) for text in texts}
    ids = [lease_id for lease_id in parsed.values() if lease_id is not None]
    results = await leases.extensions.submit(
        [Extension(lease_id, worker_id=stream.worker_id) for lease_id in ids]
    )
    standing = dict(zip(ids, results, strict=True))
    for result in results:
        if isinstance(result, Exception):
            raise result
    terms = await leases.read([i for i in ids if standing[i] is not None])
    for lease_id, held in terms.items():
        stream.held[lease_id] = held
        stream.subscription.hold(held.queue, 1)
    return [
        lease_status(
            text,
            standing[lease_id] if lease_id is not None and lease_id in terms else None,  # type: ignore[arg-type]  # no errors left
        )
        for text, lease_id in parsed.items()
    ]
