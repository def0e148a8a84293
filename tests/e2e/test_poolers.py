"""Replicas behind a real PgBouncer, in both of its modes: everything works, and nothing is lost."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.e2e.support.stage import Stage, a_stage
from tests.e2e.support.tables import fetch
from tests.support.pgbouncer import PgBouncer, pgbouncer
from tests.support.probe import eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(180)]

#: A job waits for a poll twice at most: to be dispatched, and for its status.
TWO_POLLS_SECONDS = 2 * 1.0
MARGIN_SECONDS = 3.0
JOBS = 300
CALLERS = 10
_TOLD = "a pooler lends a session of the database for each transaction"


@pytest.fixture(params=["session", "transaction"])
async def bouncer(empty_dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[PgBouncer]:
    """A PgBouncer before a database with nothing in it."""
    async with pgbouncer(empty_dsn, pool_mode=request.param) as running:
        yield running


@pytest.fixture
async def pooled(bouncer: PgBouncer) -> AsyncIterator[Stage]:
    """A stage whose servers reach the database through PgBouncer."""
    async with a_stage(bouncer.dsn) as stage:
        yield stage


async def test_life_of_a_job_behind_a_pooler(
    bouncer: PgBouncer, pooled: Stage, empty_dsn: str, request: pytest.FixtureRequest
) -> None:
    far, near = [await pooled.serve() for _ in range(2)]
    await pooled.work(far.target)
    async with pooled.calls(near.target) as caller:
        began = time.monotonic()
        await caller.follow([await caller.create("nap")])
        assert time.monotonic() - began < TWO_POLLS_SECONDS + MARGIN_SECONDS
        job_ids = [
            *[await caller.create("greet", {"name": "you"}) for _ in range(20)],
            *[await caller.create("flaky") for _ in range(5)],
            await caller.create("nap", unique_key="one"),
            await caller.create("nap", {"seconds": 0.1}, delay=0.5),
        ]
        await caller.follow(job_ids)
        await pooled.check(caller, caller.ended, empty_dsn)
    is_shared = "transaction" in request.node.name
    assert [near.stderr.count(_TOLD), far.stderr.count(_TOLD)] == [is_shared, is_shared]
    assert "fails" not in near.stderr + far.stderr
    # No lock of the migrations is left anywhere.
    pooled.dsn = empty_dsn
    direct = await pooled.serve()
    assert _TOLD not in direct.stderr


async def test_pooler_and_its_sessions_are_killed_under_load_and_nothing_is_lost(
    bouncer: PgBouncer, pooled: Stage, empty_dsn: str
) -> None:
    server = await pooled.serve()
    await pooled.work(server.target)
    async with pooled.calls(server.target) as caller:

        async def create_some() -> list[str]:
            return [await caller.create("nap", {"seconds": 0.01}) for _ in range(JOBS // CALLERS)]

        creating = [asyncio.create_task(create_some()) for _ in range(CALLERS)]
        for share in (1, 2, 3, 4):
            await _until_created(empty_dsn, share * JOBS // 6)
            if share % 2:
                bouncer.kill()
                await bouncer.start()
            else:
                await fetch(
                    empty_dsn,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name LIKE 'jobsvc%'",
                )
        job_ids = [job_id for ids in await asyncio.gather(*creating) for job_id in ids]
        assert len(set(job_ids)) == JOBS
        await caller.follow(job_ids)
        await pooled.check(caller, caller.ended, empty_dsn)
    assert "the database fails" in server.stderr, "no kill was felt"


async def _until_created(dsn: str, count: int) -> None:
    async def created() -> int:
        [row] = await fetch(dsn, "SELECT count(*) AS jobs FROM jobsvc.job")
        return int(row["jobs"])

    await eventually(created, lambda jobs: jobs >= count, seconds=60, what=f"{count} jobs")
