"""Tables that are locked for longer than a lease cost no job an attempt."""

import asyncio

import pytest

from jobsvc.client import JobState, RetryPolicy
from tests.e2e.support.stage import LEASE_SECONDS, Stage
from tests.support.looking import look_at
from tests.support.probe import eventually

pytestmark = pytest.mark.xdist_group("e2e")

ONCE = RetryPolicy(max_attempts=1)
RUN_OUT = "SELECT max(until) < clock_timestamp() - interval '1 second' FROM lease"


async def test_locked_tables_are_waited_for_and_cost_no_attempt(stage: Stage) -> None:
    server = await stage.serve()
    workers = [await stage.work(server.target, "--concurrency", "2") for _ in range(2)]
    async with stage.calls(server.target) as caller, asyncio.TaskGroup() as tasks:
        naps = [1, 2, LEASE_SECONDS + 2, LEASE_SECONDS + 2]
        running = [await caller.create("nap", {"seconds": n}, retry=ONCE) for n in naps]
        await eventually(lambda: len(stage.history.runs(*running)) == 4, what="all run")
        # No extension of it waits for the end of the lock.
        workers[0].freeze()
        sql = await look_at(stage.dsn)
        async with sql.transaction():
            await sql.execute("LOCK TABLE job, waiting, lease, result IN ACCESS EXCLUSIVE MODE")
            creation = tasks.create_task(caller.create("nap", retry=ONCE))
            await eventually(lambda: sql.fetchval(RUN_OUT), what="the end of the leases")
            assert not creation.done()
        await sql.close()
        await server.has_looked_at_lapsed_leases()
        workers[0].thaw()
        job_ids = [*running, await creation]
        # Promised is lease and 5 s; the last nap may end after the lock.
        async with asyncio.timeout(LEASE_SECONDS + 5):
            await caller.follow(job_ids)
        jobs = await stage.check(caller, job_ids)
        assert {job.status.state for job in jobs.values()} == {JobState.COMPLETED}
        assert len(stage.history.runs(*job_ids)) == 5
