"""A database goes back to a moment ago, under a server, a worker and a caller that go on."""

import re

import pytest

from jobsvc.client import JobNotFound, JobState, RetryPolicy
from jobsvc.store.migrate import migrate
from tests.e2e.support.command import run
from tests.e2e.support.stage import a_stage
from tests.e2e.support.tables import fetch, read_tables
from tests.faults.support.restoring import Backup
from tests.support.clusters import clusters
from tests.support.probe import eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(240)]

#: A server of jobsvc is connected.
SESSIONS = "SELECT FROM pg_stat_activity WHERE application_name = 'jobsvc'"
#: No lease runs out meanwhile, however slow the machine is.
PATIENT = {"lease_seconds": 60, "extend_interval_seconds": 20}
#: Whatever uses an attempt fails the job.
ONCE = RetryPolicy(max_attempts=1)


@pytest.mark.parametrize("let_in", [False, True], ids=["checked before", "checked after"])
async def test_server_and_workers_go_on_after_a_restore_to_a_moment_ago(let_in: bool) -> None:
    """The check may come before servers reach the database, or after."""
    with clusters() as servers:
        backup = Backup(servers, "point in time")
        await backup.begin()
        lost = backup.server
        await migrate(lost.dsn)
        async with a_stage(lost.dsn) as stage:
            server = await stage.serve(**PATIENT)
            worker = await stage.work(server.target)
            async with stage.calls(server.target) as caller:
                naps = [0, 1, 1.5, 6]
                job_ids = [await caller.create("nap", {"seconds": n}, retry=ONCE) for n in naps]
                await eventually(
                    lambda: len(stage.history.runs(*job_ids)) == 4, seconds=60, what="all run"
                )
                await caller.follow(job_ids[:1])
                await backup.take()

                late = await caller.create("nap", {"seconds": 0})
                await caller.follow([late, *job_ids[1:3]])
                runs = len(stage.history.runs(*job_ids))
                await backup.lose()

                restored = await backup.restore(lost.port if let_in else None)
                if let_in:
                    await eventually(
                        lambda: fetch(restored.dsn, SESSIONS), seconds=60, what="the server"
                    )
                done = run("restore-check", JOBSVC_DSN=restored.dsn)
                assert done.returncode == 0, done.stderr
                assert re.search(r"^released [23] leases of before", done.stdout, re.MULTILINE)
                if not let_in:
                    await restored.stop()
                    restored.port = lost.port
                    await restored.start()

                caller.ended.clear()
                await caller.follow(job_ids)
                jobs = await caller.read(job_ids)
                with pytest.raises(JobNotFound):
                    await caller.client.get(late)
            assert server.exit_code is None
            assert worker.exit_code is None
            tables = await read_tables(restored.dsn)
            # Those that had ended in the lost time were begun again, and the one that ran; but it
            # may have ended before the check, when servers were let in.
            again = len(stage.history.runs(*job_ids)) - runs
            assert again == 3 or (let_in and again == 2)
        assert {job.status.state for job in jobs.values()} == {JobState.COMPLETED}
        assert {tables.results[job_id].attempt for job_id in job_ids} == {1}
        assert sorted(tables.jobs) == sorted(job_ids) == sorted(tables.results)
