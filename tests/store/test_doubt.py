"""A claim that was committed without the dispatcher's hearing of it: its leases go back soon."""

import asyncpg
import pytest

from jobsvc.catalog import Catalog
from jobsvc.dispatch.board import Subscription
from jobsvc.dispatch.dispatcher import Dispatcher
from jobsvc.dispatch.worker_stream import WorkerStream
from jobsvc.queue import SeenWorker
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

from .samples import create, lease


@pytest.mark.parametrize("busy", [False, True])
async def test_leases_that_nobody_heard_of_go_back(
    store: Store, dsn: str, sql: asyncpg.Connection, busy: bool
) -> None:
    for _ in range(3):
        await create(store)
    (heard,) = await lease(store)
    await lease(store, 2)  # of the same worker, which was never told
    hints = Hints(dsn, "s", on_hint=lambda _: None, on_gap=lambda: None)
    dispatcher = Dispatcher(store, Catalog(store.queues), hints, Settings())
    stream = WorkerStream(
        Subscription("w", {"q": 0}, 10), SeenWorker("w", ("q",), 10, 0, "", "", {})
    )
    dispatcher.join(stream)
    stream.deal([heard])
    if busy:
        # Another claim for the worker is always under way.
        stream.subscription.reserved = 1
    dispatcher._doubtful["w"] = None
    await dispatcher._poll()
    if busy:
        assert await sql.fetchval("SELECT count(*) FROM lease") == 3, "it may be that claim's"
        await dispatcher._poll()
    assert await sql.fetchval("SELECT count(*) FROM lease") == 1
    assert await sql.fetchval("SELECT max(attempt) FROM waiting") == 0
    assert not dispatcher._doubtful
