"""Leases that never reached their workers go back, and only those that were sent are counted."""

import asyncio

import asyncpg

from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from tests.store.support.samples import create, create_leased, lease


async def test_last_flush_does_not_wait_long_for_the_database(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    lease_id = await create_leased(store)
    redelivery = Redelivery(store, Hints(dsn, "s"))
    redelivery.schedule([lease_id], after_seconds=60.0)
    async with sql.transaction():
        await sql.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(7):
            await redelivery.flush()
    await redelivery.flush()
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 1


async def test_scheduled_lease_that_was_never_sent_is_not_counted(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    for _ in range(2):
        await create(store)
    unsent, sent = await lease(store, 2)
    redelivery = Redelivery(store, Hints(dsn, "s"))
    redelivery.schedule([unsent.id], unsent=True)
    redelivery.schedule([sent.id], after_seconds=60)
    # Both are under the worker in the database, so whoever reads that finds both.
    await redelivery.redeliver_now([unsent.id, sent.id], confirmed_too=True)
    rows = await sql.fetch("SELECT job_id::text, redeliveries FROM waiting")
    assert {row["job_id"]: row["redeliveries"] for row in rows} == {
        unsent.id.job_id: 0,
        sent.id.job_id: 1,
    }
