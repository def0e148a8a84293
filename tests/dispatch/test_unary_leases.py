"""Leases for unary calls, whose callers may leave at any moment."""

import asyncio

import asyncpg
import pytest

from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.dispatch.unary_leases import UnaryLeases
from jobsvc.store.hints import Hint, Hints
from jobsvc.store.store import Store
from tests.store.support.samples import create
from tests.support.samples import seen_worker


async def test_caller_that_left_as_its_jobs_came_has_not_used_an_attempt(
    store: Store,
    hints: Hints,
    redelivery: Redelivery,
    unary_leases: UnaryLeases,
    sql: asyncpg.Connection,
) -> None:
    await create(store)

    def leave(hint: Hint) -> None:
        if hint.job_ids and not leasing.done():
            # Just before the caller gets its jobs.
            asyncio.get_running_loop().call_soon(leasing.cancel)

    hints.listen(leave)
    leasing = asyncio.create_task(unary_leases.lease_ready(seen_worker(), ["q"], 1, 30.0))
    with pytest.raises(asyncio.CancelledError):
        await leasing
    assert await sql.fetchval("SELECT count(*) FROM lease") == 1
    await redelivery.flush()
    rows = await sql.fetch("SELECT attempt, redeliveries FROM waiting")
    assert [tuple(row) for row in rows] == [(0, 0)]
