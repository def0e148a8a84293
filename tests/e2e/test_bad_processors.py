"""A processor that misbehaves costs its attempt and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from jobsvc.client import JobState, RetryPolicy
from jobsvc.exit_code import ExitCode
from tests.e2e.support.processes import Worker
from tests.e2e.support.stage import LEASE_SECONDS, Stage
from tests.support.probe import eventually

#: Retries without a long wait between them.
TWICE = RetryPolicy(max_attempts=2, initial_backoff=0.1)


@asynccontextmanager
async def supervised(stage: Stage, target: str, *options: str) -> AsyncIterator[list[Worker]]:
    """A worker that is started anew when it ends, as by an init system; all there have been."""
    workers: list[Worker] = []

    async def keep_working() -> None:
        while True:
            worker = stage.start_worker(target, *options)
            workers.append(worker)
            await worker.exited(60)

    async with asyncio.TaskGroup() as tasks:
        keeper = tasks.create_task(keep_working())
        yield workers
        keeper.cancel()


@pytest.mark.parametrize(
    ("queue", "code", "reason"),
    [
        ("raises", "UNKNOWN", "RUNTIME_ERROR"),
        ("exits", "UNKNOWN", "SYSTEM_EXIT"),
        ("exits-in-task", "UNKNOWN", "SYSTEM_EXIT"),
        ("stops-loop", "UNKNOWN", "SYSTEM_EXIT"),
    ],
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
        assert [jobs[job_id].status.attempt for job_id in good] == [1] * len(good)
        assert worker.exit_code is None


@pytest.mark.parametrize("traced", [False, True], ids=["plain", "traced"])
async def test_exception_that_cannot_be_described_fails_the_attempt_and_no_other_job(
    stage: Stage, traced: bool
) -> None:
    server = await stage.serve()
    tracing = {"JOBSVC_TRACE_DIR": str(stage.folder / "traces")} if traced else {}
    worker = await stage.work(server.target, **tracing)
    async with stage.calls(server.target) as caller:
        bad = [
            await caller.create(queue, {"column": column}, retry=TWICE)
            for queue in ("unspeakable", "unspeakable-thread")
            for column in (False, True)
        ]
        good = [await caller.create("nap", {"seconds": 0.1}) for _ in range(10)]
        await caller.follow([*bad, *good])
        jobs = await stage.check(caller, [*bad, *good])
        for job_id in bad:
            error = jobs[job_id].status.error
            assert error is not None
            assert (jobs[job_id].state, error.code) == (JobState.FAILED, "UNKNOWN")
            assert [run.attempt for run in stage.history.runs(job_id)] == [1, 2]
            if error.reason == "UNSPEAKABLE":
                assert error.message == "Unspeakable cannot be described"
            else:
                assert error.reason == "SYNTAX_ERROR"
                assert error.stack_trace == "SyntaxError: the stack trace cannot be described"
        assert [jobs[job_id].status.attempt for job_id in good] == [1] * len(good)
        assert worker.exit_code is None
        assert "Logging error" not in worker.stderr


async def test_processor_that_cancels_every_task_costs_no_other_job_an_attempt(
    stage: Stage,
) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller:
        for queue in ("nap", "cancels-all"):
            await caller.client.declare_queue(queue)
        good = [await caller.create("nap", {"seconds": 2}) for _ in range(6)]
        async with supervised(stage, server.target):
            await eventually(lambda: len({run.job_id for run in stage.history.runs()}) == len(good))
            bad = await caller.create("cancels-all", retry=TWICE)
            await caller.follow([bad, *good])
        jobs = await stage.check(caller, [bad, *good])
        assert jobs[bad].succeeded
        assert [jobs[job_id].status.attempt for job_id in good] == [1] * len(good)


@pytest.mark.parametrize("queue", ["sabotages", "sabotages-thread"])
async def test_worker_that_fails_itself_costs_that_job_an_attempt_and_names_it(
    stage: Stage, queue: str
) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue(queue)
        await caller.client.declare_queue("nap")
        good = [await caller.create("nap", {"seconds": 0.3}) for _ in range(10)]
        bad = await caller.create(queue, retry=TWICE)
        async with supervised(stage, server.target) as workers:
            await caller.follow([bad, *good])
        jobs = await stage.check(caller, [bad, *good])
        error = jobs[bad].status.error
        assert error is not None
        assert (jobs[bad].state, error.code) == (JobState.FAILED, "INTERNAL")
        assert error.reason == "WORKER_ERROR"
        assert all(jobs[job_id].succeeded for job_id in good)
        assert [jobs[job_id].status.attempt for job_id in good] == [1] * len(good)
        ended = [worker for worker in workers if worker.exit_code is not None]
        assert [worker.exit_code for worker in ended] == [ExitCode.TEMPORARY] * 2
        for worker in ended:
            assert f"failed while it handled job {bad} of {queue}" in worker.stderr


@pytest.mark.parametrize("in_task", [False, True], ids=["directly", "in_task"])
async def test_blocked_event_loop_fails_no_job_that_has_not_begun(
    stage: Stage, in_task: bool
) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("sleeps")
        once = RetryPolicy(max_attempts=1)
        bad, *good = [
            await caller.create(
                "sleeps",
                {"seconds": seconds, "in_task": in_task and seconds > 0},
                attempt_timeout=LEASE_SECONDS + 1,
                retry=once,
            )
            for seconds in (3600, *[0] * 39)
        ]
        options = ("--window", "40", "--blocked-seconds", "3")
        async with supervised(stage, server.target, *options) as workers:
            await caller.follow([bad, *good])
            jobs = await stage.check(caller, [bad, *good])
            error = jobs[bad].status.error
            assert error is not None
            assert (jobs[bad].state, error.reason) == (JobState.FAILED, "LOOP_BLOCKED")
            assert all(jobs[job_id].succeeded for job_id in good)
            assert [jobs[job_id].status.attempt for job_id in good] == [1] * len(good)
            assert await workers[0].exited(10) == 1
        said = f"job {bad} of sleeps, attempt 1 blocks the worker: the event loop has not answered"
        assert f"ERROR jobsvc.worker: {said}" in workers[0].stderr
        assert f"jobsvc worker: {said}" in workers[0].stderr


@pytest.mark.parametrize("queue", ["nap", "thread-nap"])
async def test_waiting_in_the_worker_is_not_held_against_a_job(stage: Stage, queue: str) -> None:
    server = await stage.serve()
    await stage.work(server.target, "--concurrency", "1", "--window", "10")
    async with stage.calls(server.target) as caller:
        job_ids = [
            await caller.create(
                queue,
                {"seconds": 0.6},
                attempt_timeout=LEASE_SECONDS,
                retry=RetryPolicy(max_attempts=1),
            )
            for _ in range(10)
        ]
        await caller.follow(job_ids)
        jobs = await stage.check(caller, job_ids)
        assert all(jobs[job_id].succeeded for job_id in job_ids)
        assert [jobs[job_id].status.attempt for job_id in job_ids] == [1] * 10
        assert len(stage.history.runs()) == len(job_ids)


async def test_poison_job_fails_after_its_attempts_while_others_finish(stage: Stage) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("dies")
        await caller.client.declare_queue("nap")
        poison = await caller.create("dies", retry=TWICE)
        good = [await caller.create("nap", {"seconds": 0.3}) for _ in range(10)]
        began = time.monotonic()
        async with supervised(stage, server.target) as workers:
            await caller.follow([poison, *good])
        deaths = [worker.exit_code for worker in workers if worker.exit_code is not None]
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
