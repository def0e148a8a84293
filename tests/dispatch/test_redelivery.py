"""Leases on their way back when the server has to go."""

import asyncio

import asyncpg

from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from tests.store.support.samples import create_leased


async def test_last_flush_does_not_wait_long_for_the_database(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    lease_id = await create_leased(store)
    returns = Redelivery(store, Hints(dsn, "s", on_hint=lambda _: None, on_gap=lambda: None))
    returns.put_back([lease_id], after_seconds=60.0)
    async with sql.transaction():
        await sql.execute("LOCK TABLE lease IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(7):
            await returns.flush()
    await returns.flush()
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 1
