"""Leases that never reached their workers go back, and only those that were sent are counted."""

import asyncio
import tempfile
import time
from pathlib import Path

import asyncpg
import pytest

from jobsvc.dispatch.redelivery import Redelivery
from jobsvc.domain.lease import Extension
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store, open_store
from tests.api.support.database_link import database_link
from tests.store.support.samples import create, create_leased, lease
from tests.support.probe import eventually


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


@pytest.mark.parametrize("confirmed", [True, False])
async def test_worker_may_confirm_a_lease_after_the_database_was_away(
    dsn: str, sql: asyncpg.Connection, confirmed: bool
) -> None:
    with tempfile.TemporaryDirectory(prefix="jobsvc-link-") as folder:
        async with (
            database_link(dsn, Path(folder)) as link,
            open_store(link.dsn, "s", pool_size=2, statement_seconds=5, max_queues=10) as store,
            asyncio.TaskGroup() as tasks,
        ):
            lease_id = await create_leased(store)
            redelivery = Redelivery(store, Hints(dsn, "s"), reconnect_seconds=1.0)
            redelivering = tasks.create_task(redelivery.run())
            await link.cut()
            redelivery.schedule([lease_id])
            await asyncio.sleep(0.7)  # It has been tried once by then.
            await link.mend()
            await asyncio.sleep(0.7)  # It would have been tried again.
            if confirmed:
                assert await store.leases.extensions.submit_one(Extension(lease_id))
                await asyncio.sleep(1.2)  # The time of the worker is over.
                assert await sql.fetchval("SELECT count(*) FROM lease") == 1
            else:
                await eventually(lambda: sql.fetchval("SELECT count(*) FROM waiting"))
            redelivering.cancel()


async def test_worker_may_confirm_a_lease_after_the_server_stood_still(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    lease_id = await create_leased(store)
    redelivery = Redelivery(store, Hints(dsn, "s"), reconnect_seconds=1.0)
    async with asyncio.TaskGroup() as tasks:
        redelivering = tasks.create_task(redelivery.run())
        redelivery.schedule([lease_id], after_seconds=0.7)
        await asyncio.sleep(0.1)  # It begins to wait.
        time.sleep(1.7)  # noqa: ASYNC251  # The server stands still.
        await asyncio.sleep(0.5)  # It would have been redelivered at once.
        assert await store.leases.extensions.submit_one(Extension(lease_id))
        redelivering.cancel()
    assert await sql.fetchval("SELECT count(*) FROM lease") == 1
