"""A processor that misbehaves costs its attempt and nothing else."""

import asyncio
import time

import pytest

from jobsvc.client import JobState, RetryPolicy
from tests.e2e.support.stage import LEASE_SECONDS, Stage
from tests.support.probe import eventually

#: Retries without a long wait between them.
TWICE = RetryPolicy(max_attempts=2, initial_backoff=0.1)


@pytest.mark.parametrize(
    ("queue", "code", "reason"),
    [("raises", "UNKNOWN", "RUNTIME_ERROR"), ("exits", "UNKNOWN", "SYSTEM_EXIT")],
)
async def test_exception_fails_the_attempt_and_no_other_job(
    stage: Stage, queue: str, code: str, reason: str
) -> None:
    server = await stage.serve()
    worker = await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        bad = await caller.create(queue, retry=TWICE)
        good = [await caller.create("nap", {"seconds": 0.1}) for _ in range(10)]
        await caller.follow([bad, *good])
        jobs = await stage.check(caller, [bad, *good])
        error = jobs[bad].status.error
        assert error is not None
        assert (jobs[bad].state, error.code, error.reason) == (JobState.FAILED, code, reason)
        assert [run.attempt for run in stage.history.runs(bad)] == [1, 2]
        assert all(jobs[job_id].status.attempt == 1 for job_id in good)
        assert worker.exit_code is None


async def test_poison_job_fails_after_its_attempts_while_others_finish(stage: Stage) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("dies")
        await caller.client.declare_queue("nap")
        poison = await caller.create("dies", retry=TWICE)
        good = [await caller.create("nap", {"seconds": 0.3}) for _ in range(10)]
        deaths = []

        async def keep_working() -> None:
            """Restarts the worker whenever it ends, as an init system does."""
            while True:
                worker = stage.start_worker(server.target)
                await eventually(
                    lambda w=worker: w.exit_code is not None, seconds=60, what="death of the worker"
                )
                deaths.append(worker.exit_code)

        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            keeper = tasks.create_task(keep_working())
            await caller.follow([poison, *good])
            keeper.cancel()
        # A process that dies before it has confirmed the delivery costs 5 s and no attempt.
        assert len(deaths) >= 2
        assert set(deaths) == {7}
        assert time.monotonic() - began < len(deaths) * (LEASE_SECONDS + 5) + 5
        jobs = await stage.check(caller, [poison, *good])
        error = jobs[poison].status.error
        assert error is not None
        assert (jobs[poison].state, error.reason) == (JobState.FAILED, "LEASE_EXPIRED")
        assert {run.attempt for run in stage.history.runs(poison)} == {1, 2}
        assert all(jobs[job_id].succeeded for job_id in good)


async def test_attempt_that_hangs_is_over_at_its_timeout(stage: Stage) -> None:
    server = await stage.serve()
    worker = await stage.work(server.target, "--concurrency", "1")
    async with stage.calls(server.target) as caller:
        began = time.monotonic()
        hung = await caller.create("hangs", attempt_timeout=LEASE_SECONDS, retry=TWICE)
        await eventually(lambda: stage.history.runs(hung), what="the run")
        good = await caller.create("nap")
        await caller.follow([hung, good])
        assert 2 * LEASE_SECONDS <= time.monotonic() - began < 2 * LEASE_SECONDS + 5
        jobs = await stage.check(caller, [hung, good])
        error = jobs[hung].status.error
        assert error is not None
        assert (jobs[hung].state, error.reason) == (JobState.FAILED, "ATTEMPT_TIMEOUT")
        assert jobs[good].succeeded, "the only slot was not given back"
        assert worker.exit_code is None


@pytest.mark.parametrize("queue", ["computes", "blocks"])
async def test_lease_is_kept_through_a_computation_longer_than_it(stage: Stage, queue: str) -> None:
    server = await stage.serve()
    workers = [await stage.work(server.target) for _ in range(2)]
    async with stage.calls(server.target) as caller:
        began = time.monotonic()
        job_id = await caller.create(queue, {"seconds": 2.5 * LEASE_SECONDS})
        await caller.follow([job_id])
        assert time.monotonic() - began > 2 * LEASE_SECONDS, "it did not outlast its lease"
        jobs = await stage.check(caller, [job_id])
        assert (jobs[job_id].state, jobs[job_id].status.attempt) == (JobState.COMPLETED, 1)
        assert len(stage.history.runs(job_id)) == 1
        assert caller.output(job_id)["rounds"] > 1000
        assert all(worker.exit_code is None for worker in workers)
