"""A worker that dies, or freezes and comes back, costs one attempt and nothing else."""

import asyncio
import time

import pytest
from google.rpc import code_pb2
from grpc import aio

from jobsvc.client import JobState, RetryPolicy
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.e2e.support.history import Report, Result, Run
from tests.e2e.support.stage import LEASE_SECONDS, Stage
from tests.e2e.support.tables import fetch
from tests.support.probe import eventually

#: What RELIABILITY promises: ready again within lease + 5 s.
RESCUE_SECONDS = LEASE_SECONDS + 5


async def _run(stage: Stage, job_id: str, number: int, seconds: float = RESCUE_SECONDS) -> Run:
    """The delivery of a job with this number, once it has happened."""
    runs = await eventually(
        lambda: stage.history.runs(job_id)[number - 1 : number],
        seconds=seconds,
        what=f"delivery {number}",
    )
    return runs[0]


async def test_job_of_a_killed_worker_runs_elsewhere(stage: Stage) -> None:
    server = await stage.serve()
    workers = [await stage.work(server.target), await stage.work(server.target)]
    async with stage.calls(server.target) as caller:
        job_id = await caller.create("nap", {"seconds": 1})
        first = await _run(stage, job_id, 1)
        (killed,) = [worker for worker in workers if worker.pid == first.pid]
        killed.kill()
        kill_time = time.time()
        leases = await fetch(stage.dsn, "SELECT worker_id FROM lease WHERE job_id = $1", job_id)
        assert [row["worker_id"] for row in leases] == [killed.id], "it was not killed mid-job"

        await caller.follow([job_id])
        assert time.time() - kill_time < RESCUE_SECONDS
        jobs = await stage.check(caller, [job_id])
        status = jobs[job_id].status
        assert (status.state, status.attempt) == (JobState.COMPLETED, 2)
        assert [a.error.reason for a in status.recent_attempts if a.error] == ["LEASE_EXPIRED"]
        _, second = stage.history.runs(job_id)
        assert second.pid != first.pid


async def test_worker_killed_on_the_last_attempt_leaves_a_failed_job(stage: Stage) -> None:
    server = await stage.serve()
    worker = await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        once = RetryPolicy(max_attempts=1)
        job_id = await caller.create("nap", {"seconds": 60}, retry=once)
        await _run(stage, job_id, 1)
        worker.kill()
        kill_time = time.time()
        await caller.follow([job_id])
        assert time.time() - kill_time < RESCUE_SECONDS
        jobs = await stage.check(caller, [job_id])
        status = jobs[job_id].status
        assert (status.state, status.attempt) == (JobState.FAILED, 1)
        assert status.error is not None
        assert (status.error.code, status.error.reason) == ("UNAVAILABLE", "LEASE_EXPIRED")


@pytest.mark.parametrize("queue", ["nap", "thread-nap"])
async def test_frozen_worker_has_lost_its_job_when_it_wakes(stage: Stage, queue: str) -> None:
    server = await stage.serve()
    workers = [await stage.work(server.target), await stage.work(server.target)]
    async with stage.calls(server.target) as caller:
        job_id = await caller.create(queue, {"seconds": 2})
        first = await _run(stage, job_id, 1)
        (frozen,) = [worker for worker in workers if worker.pid == first.pid]
        frozen.freeze()
        second = await _run(stage, job_id, 2)
        assert second.pid != first.pid
        # Its nap is long over: it is about to report while the other one still runs.
        frozen.thaw()
        # Told, or refused, whichever comes first.
        await frozen.says(2, "lease lost", "came too late")
        await caller.follow([job_id])
        jobs = await stage.check(caller, [job_id])
        assert (jobs[job_id].status.attempt, caller.output(job_id)["run"]) == (2, second.run)

        # It goes on working.
        for worker in workers:
            if worker is not frozen:
                worker.kill()
        next_id = await caller.create(queue)
        assert (await _run(stage, next_id, 1)).pid == frozen.pid


async def test_outcome_under_a_lost_lease_changes_nothing(stage: Stage) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller, aio.insecure_channel(server.target) as channel:
        worker = WorkerServiceStub(channel)

        async def lease(worker_id: str) -> pb.JobLease:
            request = pb.LeaseJobsRequest(queues=["by-hand"])
            request.worker.worker_id = worker_id
            request.wait.FromSeconds(20)
            (lease,) = (await worker.LeaseJobs(request)).leases
            stage.history.note(
                Run(job_id=job_id, attempt=lease.attempt, run=worker_id, time=time.time())
            )
            return lease

        async def report(worker_id: str, lease: pb.JobLease) -> int:
            request = pb.ReportOutcomesRequest(worker_id=worker_id)
            outcome = request.outcomes.add(lease_id=lease.lease_id)
            outcome.success.output.json_text = f'{{"run":"{worker_id}"}}'
            (result,) = (await worker.ReportOutcomes(request)).results
            number = int(lease.lease_id.rpartition(".")[2])
            said: Result = "ok" if result.status.code == code_pb2.OK else "fail"
            stage.history.note(Report(job_id=job_id, lease_id=number, result=said))
            return result.status.code

        await caller.client.declare_queue("by-hand")
        job_id = await caller.create("by-hand")
        late = await lease("late")
        prompt = await lease("prompt")  # waits until the first lease has run out
        assert (late.attempt, prompt.attempt) == (1, 2)
        assert await report("late", late) == code_pb2.FAILED_PRECONDITION
        assert await report("prompt", prompt) == code_pb2.OK
        assert await report("late", late) == code_pb2.FAILED_PRECONDITION
        assert await report("prompt", prompt) == code_pb2.OK
        async with asyncio.timeout(5):
            await caller.follow([job_id])
        await stage.check(caller, [job_id])
        assert caller.output(job_id) == {"run": "prompt"}
