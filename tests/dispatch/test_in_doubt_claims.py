"""In-doubt claims: committed, and failed as far as this replica knows. Their leases go back."""

import asyncpg
import pytest

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.in_doubt_claims import InDoubtClaims
from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.worker import SeenWorker
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from tests.store.support.samples import create, lease


@pytest.mark.parametrize("busy", [False, True])
async def test_leases_that_nobody_heard_of_go_back(
    store: Store, dsn: str, sql: asyncpg.Connection, busy: bool
) -> None:
    for _ in range(3):
        await create(store)
    (heard,) = await lease(store)
    await lease(store, 2)  # of the same worker, which was never told
    in_doubt = InDoubtClaims(store, Redelivery(store, Hints(dsn, "s")))
    worker = ConnectedWorker(
        Subscription("w", {"q": 0}, 10), SeenWorker("w", ("q",), 10, 0, "", "", {})
    )
    worker.deal([heard], now=0.0)
    if busy:
        # Another claim for the worker is always under way.
        worker.subscription.reserved = 1
    in_doubt.add("w")
    await in_doubt.resolve([worker])
    if busy:
        assert await sql.fetchval("SELECT count(*) FROM lease") == 3, "it may be that claim's"
        await in_doubt.resolve([worker])
    assert await sql.fetchval("SELECT count(*) FROM lease") == 1
    assert await sql.fetchval("SELECT max(attempt) FROM waiting") == 0
    assert not in_doubt
