"""A job that is born leased, and whose server dies before its worker hears of it."""

import asyncio

import asyncpg
import pytest

from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

#: Long enough for the lease to outlive the restart: that it runs out is not what brings the job.
LEASES = {"lease_seconds": 60, "extend_interval_seconds": 1}
BORN_LEASED = """SELECT FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND query LIKE '%leases some of them%'"""

pytestmark = pytest.mark.xdist_group("e2e")


async def test_server_killed_between_the_commit_and_the_dispatch(stage: Stage) -> None:
    server = await stage.serve(**LEASES)
    await stage.work(server.target)
    async with stage.calls(server.target) as caller, asyncio.TaskGroup() as tasks:
        # Its claim may still be under way when it has ended; then the next one is born leased.
        first = [await caller.create("nap") for _ in range(3)]
        await caller.follow(first)
        holder = await asyncpg.connect(stage.dsn)
        lock = holder.transaction()
        await lock.start()
        # A creation locks its queue against removal, as the first thing that it does.
        await holder.execute("SELECT FROM queue FOR UPDATE")
        creation = tasks.create_task(caller.create("nap"))
        await eventually(lambda: fetch(stage.dsn, BORN_LEASED), what="a job being born leased")
        server.freeze()
        await lock.rollback()
        await holder.close()
        leased = "SELECT job_id::text FROM lease WHERE attempt = 1 AND NOT confirmed"
        (row,) = await eventually(lambda: fetch(stage.dsn, leased), what="the commit")
        server.kill()
        assert not creation.done()
        assert stage.history.runs(row["job_id"]) == []
        await stage.serve(port=server.port, **LEASES)
        job_id = await creation
        assert job_id == row["job_id"], "the first try made the job"
        await caller.follow([job_id])
        jobs = await stage.check(caller, [*first, job_id])
        # Redelivered, not retried: its worker did not know of the lease.
        assert jobs[job_id].status.attempt == 1
        assert len(stage.history.runs(job_id)) == 1
