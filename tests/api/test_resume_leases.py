"""Leases of a worker that subscribes again."""

import asyncpg
import pytest

from jobsvc.api.resume_leases import redeliver_unlisted, take_over
from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.subscription import Subscription
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.v1.worker_service_pb2 import LEASE_STATE_HELD, LEASE_STATE_LOST
from tests.store.support.samples import create, lease
from tests.support.samples import seen_worker


@pytest.mark.parametrize("max_part", [1, 2, 5, 1000])
async def test_leases_are_taken_over_in_parts_each_of_them_once(
    store: Store, max_part: int
) -> None:
    for _ in range(5):
        await create(store)
    ids = [job.id for job in await lease(store, 5)]
    worker = ConnectedWorker(Subscription("w", {"q": 0}, 6), seen_worker())
    statuses = await take_over(store, worker, [*ids, "nonsense", ids[0]], max_part)
    assert [status.lease_id for status in statuses] == [*ids, "nonsense"]
    assert [status.state for status in statuses] == [*[LEASE_STATE_HELD] * 5, LEASE_STATE_LOST]
    assert list(worker.leases) == ids
    assert worker.subscription.capacity("q") == 1


async def test_lease_that_the_worker_does_not_list_goes_back_confirmed_or_not(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    for _ in range(3):
        await create(store)
    listed, confirmed, unconfirmed = await lease(store, 3)
    await sql.execute("UPDATE lease SET confirmed = job_id = $1", confirmed.id.job_id)
    redelivery = Redelivery(store, Hints(dsn, "s"))
    await redeliver_unlisted(store, redelivery, "w", [listed.id])
    rows = await sql.fetch("SELECT job_id::text, redeliveries FROM waiting")
    assert {row["job_id"]: row["redeliveries"] for row in rows} == {
        confirmed.id.job_id: 1,
        unconfirmed.id.job_id: 1,
    }
