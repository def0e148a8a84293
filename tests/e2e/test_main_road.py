"""The main road: created by a client, run by a worker process, followed on a stream."""

from jobsvc.v1 import job_pb2
from tests.e2e.support.history import Update
from tests.e2e.support.stage import Stage


async def test_created_job_is_run_and_its_status_arrives_on_the_stream(stage: Stage) -> None:
    server = await stage.serve(embedded=True)
    worker = await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        job_id = await caller.create("greet", {"name": "Ada", "seconds": 0.6})
        await caller.follow([job_id])

        assert caller.output(job_id)["greeting"] == "Hello, Ada"
        states = [e.state for e in stage.history.events() if isinstance(e, Update)]
        assert states[-1] == job_pb2.JOB_STATE_COMPLETED
        assert job_pb2.JOB_STATE_PROCESSING in states
        jobs = await stage.check(caller, [job_id], stage.embedded_dsn)
        assert jobs[job_id].status.worker_id == worker.id
        assert jobs[job_id].status.progress_percent == 50
        (run,) = stage.history.runs()
        assert (run.job_id, run.attempt, run.pid) == (job_id, 1, worker.pid)


async def test_failed_attempt_is_run_again(stage: Stage) -> None:
    server = await stage.serve()
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        job_id = await caller.create("flaky")
        await caller.follow([job_id])
        jobs = await stage.check(caller, [job_id])
        assert jobs[job_id].succeeded
        assert [run.attempt for run in stage.history.runs(job_id)] == [1, 2]


async def test_jobs_created_before_the_worker_came_are_run(stage: Stage) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("nap")
        job_ids = [await caller.create("nap") for _ in range(20)]
        await stage.work(server.target)
        await caller.follow(job_ids)
        jobs = await stage.check(caller, job_ids)
        assert all(job.succeeded and job.status.attempt == 1 for job in jobs.values())
