"""The database commits, and its answer is lost: the same call again finds what there is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import grpc
import pytest

from jobsvc.app import Replica, replica
from jobsvc.settings import Settings
from tests.api.support.database_link import DatabaseLink
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refused
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

REQUEST_ID = "6f1ad3a0-3c42-4a6b-9a07-2f9d1c0a7b55"
CREATING = """SELECT FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND query LIKE '%Writes jobs and their queue%'"""


@pytest.fixture
def settings() -> Settings:
    # On another connection than the first creation's the statement would have to be parsed first,
    # and the lock would stop it there.
    return replace(TEST_SETTINGS, statement_seconds=2.0, pool_size=1)


@pytest.fixture
async def server(link: DatabaseLink, settings: Settings) -> AsyncIterator[Replica]:
    """A replica that goes by the link."""
    async with replica(link.dsn, settings) as running:
        yield running


async def test_creation_whose_commit_was_not_answered_makes_one_job(
    link: DatabaseLink, create: Create, dsn: str, sql: asyncpg.Connection
) -> None:
    await create()
    async with sql.transaction():
        await sql.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
        creation = asyncio.ensure_future(create(request_id=REQUEST_ID))
        await eventually(lambda: fetch(dsn, CREATING), what="a creation that waits")
        # The statement is there; what the database says to it is lost.
        link.kill_silently()
    refusal = await refused(creation)
    assert refusal.what == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    assert link.lost_bytes
    count = "SELECT count(*) FROM job WHERE request_id = $1"
    # Nobody has tried again in the meantime, and nobody needs to.
    assert await sql.fetchval(count, REQUEST_ID) == 1
    job = await create(request_id=REQUEST_ID)
    assert str(await sql.fetchval("SELECT id FROM job WHERE request_id = $1", REQUEST_ID)) == job.id
    assert await sql.fetchval(count, REQUEST_ID) == 1
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 2
