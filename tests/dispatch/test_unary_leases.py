"""Leases on behalf of calls, whose callers may leave at any moment."""

import asyncio

import asyncpg
import pytest

from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.unary_leases import UnaryLeases
from jobsvc.domain.lease import Slot
from jobsvc.store.hints import Hint, Hints
from jobsvc.store.store import Store
from tests.store.support.samples import create


async def test_caller_that_left_as_its_jobs_came_has_not_used_an_attempt(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    def leave(_: Hint) -> None:
        asyncio.get_running_loop().call_soon(leasing.cancel)  # Just before the answer is taken.

    await create(store)
    hints = Hints(dsn, "test-server", on_hint=leave, on_gap=lambda: None)
    redelivery = Redelivery(store, hints)
    leases = UnaryLeases(store, hints, redelivery)
    leasing = asyncio.create_task(leases.lease("q", [Slot("w", 30.0)]))
    with pytest.raises(asyncio.CancelledError):
        await leasing
    assert await sql.fetchval("SELECT count(*) FROM lease") == 1
    await redelivery.flush()
    rows = await sql.fetch("SELECT attempt, returns FROM waiting")
    assert [tuple(row) for row in rows] == [(0, 0)]
