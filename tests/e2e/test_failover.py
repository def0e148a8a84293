"""A primary dies and its standby takes over, under a replica that knows both hosts."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from jobsvc.app import replica
from jobsvc.client import AsyncClient, JobUpdate
from jobsvc.store.migrate import migrate
from jobsvc.store.store import open_store
from tests.e2e.support.proxy import proxy
from tests.store.support.samples import COMPLETED, end, lease
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS
from tests.support.standby import DATABASE, USER, Pair, pair

pytestmark = pytest.mark.xdist_group("e2e")


@pytest.fixture
async def servers() -> AsyncIterator[Pair]:
    async with pair() as running:
        await migrate(running.primary.dsn)
        yield running


async def test_followers_learn_the_end_after_a_failover_to_a_standby_that_lagged(
    servers: Pair,
) -> None:
    seen: list[JobUpdate] = []
    async with (
        replica(servers.dsn, TEST_SETTINGS) as running,
        AsyncClient(f"127.0.0.1:{running.port}") as client,
    ):
        await client.declare_queue("q")
        job = await client.create("q")
        await servers.caught_up()
        await servers.cut()

        async def follow() -> None:
            async for update in client.follow([job.id]):
                seen.append(update)

        following = asyncio.create_task(follow())
        await servers.primary.execute("UPDATE jobsvc.waiting SET version = 12")
        await eventually(lambda: [u.status.version for u in seen][-1:], lambda v: v == [12])
        servers.primary.kill()
        await servers.standby.promote()
        await eventually(lambda: [u.status.version for u in seen][-1:], lambda v: v == [1])
        async with open_store(servers.standby.dsn, "s", 2, 10, 10) as store:
            [leased] = await lease(store)
            await store.lease_ends.ends.submit_one(end(leased.id, COMPLETED))
        await asyncio.wait_for(following, 10)
        assert seen[-1].status.ended
        assert seen[-1].status.version == 3


async def test_promotion_that_no_connection_has_met_is_found(
    servers: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """The old primary goes on, and no connection to it is lost."""
    jobs = "SELECT count(*) FROM jobsvc.job"
    async with (
        replica(servers.dsn, TEST_SETTINGS) as running,
        AsyncClient(f"127.0.0.1:{running.port}") as client,
    ):
        await client.declare_queue("q")
        await servers.caught_up()
        await servers.standby.promote()

        async def is_created_there() -> bool:
            await client.create("q")
            return await servers.standby.fetchval(jobs) > 0

        await eventually(is_created_there, seconds=30)
        lost = await servers.primary.fetchval(jobs)
        for _ in range(20):
            await client.create("q")
        assert await servers.primary.fetchval(jobs) == lost
    [left] = [r.message for r in caplog.records if "left the old primary" in r.message]
    assert left.startswith(f"{servers.standby.address} is on timeline 2: ")
    assert f"; stop {servers.primary.address}" in caplog.text


async def test_address_that_leads_elsewhere_is_found(servers: Pair) -> None:
    """As a moved address or a changed name does, under connections that last."""
    jobs = "SELECT count(*) FROM jobsvc.job"
    async with proxy(servers.primary.port) as address:
        dsn = f"postgresql://{USER}@{address.target}/{DATABASE}"
        async with (
            replica(dsn, TEST_SETTINGS) as running,
            AsyncClient(f"127.0.0.1:{running.port}") as client,
        ):
            await client.declare_queue("q")
            await servers.caught_up()
            await servers.standby.promote()
            address.lead_to(servers.standby.port)

            async def is_created_there() -> bool:
                await client.create("q")
                return await servers.standby.fetchval(jobs) > 0

            await eventually(is_created_there, seconds=30)
            lost = await servers.primary.fetchval(jobs)
            for _ in range(20):
                await client.create("q")
            assert await servers.primary.fetchval(jobs) == lost
