"""A database goes back to a moment ago, under a server, a worker and a caller that go on."""

import pytest

from jobsvc.client import JobNotFound, JobState, RetryPolicy
from jobsvc.store.migrate import migrate
from tests.e2e.support.command import run
from tests.e2e.support.stage import a_stage
from tests.e2e.support.tables import read_tables
from tests.faults.support.restoring import Backup
from tests.support.clusters import clusters
from tests.support.probe import eventually

pytestmark = [pytest.mark.xdist_group("e2e"), pytest.mark.timeout(240)]

#: Whatever uses an attempt fails the job.
ONCE = RetryPolicy(max_attempts=1)


async def test_server_and_workers_go_on_after_a_restore_to_a_moment_ago() -> None:
    with clusters() as servers:
        backup = Backup(servers, "point in time")
        await backup.begin()
        lost = backup.server
        await migrate(lost.dsn)
        async with a_stage(lost.dsn) as stage:
            server = await stage.serve()
            worker = await stage.work(server.target)
            async with stage.calls(server.target) as caller:
                naps = [0, 1, 1.5, 6]
                job_ids = [await caller.create("nap", {"seconds": n}, retry=ONCE) for n in naps]
                await eventually(lambda: len(stage.history.runs(*job_ids)) == 4, what="all run")
                await caller.follow(job_ids[:1])
                await backup.take()

                late = await caller.create("nap", {"seconds": 0})
                await caller.follow([late, *job_ids[1:3]])
                runs = len(stage.history.runs(*job_ids))
                await backup.lose()

                restored = await backup.restore()  # where no server of jobsvc looks
                done = run("restore-check", JOBSVC_DSN=restored.dsn)
                assert done.returncode == 0, done.stderr
                assert "released 3 leases of before" in done.stdout
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
            # Three were begun again: nothing is known of the first time.
            assert len(stage.history.runs(*job_ids)) == runs + 3
        assert {job.status.state for job in jobs.values()} == {JobState.COMPLETED}
        assert {tables.results[job_id].attempt for job_id in job_ids} == {1}
        assert sorted(tables.jobs) == sorted(job_ids) == sorted(tables.results)
