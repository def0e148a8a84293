"""A claim that was committed without our hearing of it: its leases go back soon."""

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
    hints = Hints(dsn, "s", on_hint=lambda _: None, on_gap=lambda: None)
    doubts = InDoubtClaims(store.leases, Redelivery(store, hints))
    stream = ConnectedWorker(
        Subscription("w", {"q": 0}, 10), SeenWorker("w", ("q",), 10, 0, "", "", {})
    )
    stream.deal([heard], now=0.0)
    if busy:
        # Another claim for the worker is always under way.
        stream.subscription.reserved = 1
    doubts.raise_of("w")
    await doubts.settle([stream])
    if busy:
        assert await sql.fetchval("SELECT count(*) FROM lease") == 3, "it may be that claim's"
        await doubts.settle([stream])
    assert await sql.fetchval("SELECT count(*) FROM lease") == 1
    assert await sql.fetchval("SELECT max(attempt) FROM waiting") == 0
    assert not doubts


async def test_worker_that_is_back_first_gets_rid_of_what_does_not_count(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    for _ in range(2):
        await create(store)
    unsent, sent = await lease(store, 2)
    returns = Redelivery(store, Hints(dsn, "s", on_hint=lambda _: None, on_gap=lambda: None))
    returns.put_back([unsent.id], unsent=True)
    returns.put_back([sent.id], after_seconds=60)
    await returns.reclaim("w", held=[])
    rows = await sql.fetch("SELECT job_id::text, returns FROM waiting")
    assert dict(rows) == {unsent.id.job_id: 0, sent.id.job_id: 1}
