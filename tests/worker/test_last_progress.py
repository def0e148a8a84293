"""The last progress of an attempt reaches the status in which its job ends."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.worker import Context, Fail, Processor, RetryPolicy, processor
from tests.worker.support.callers import Caller, worker
from tests.worker.support.scripted_server import ScriptedServer, lease, scripted_server
from tests.worker.support.stage import streaming, working

pytestmark = pytest.mark.timeout(60)

_JOBS = 20


@pytest.fixture
def caller(channel: aio.Channel) -> Caller:
    return Caller(channel)


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as server:
        yield server


def _work(value: dict[str, Any], context: Context) -> None:
    context.progress(10, "begun")
    context.progress(100, "done")
    if value.get("fail"):
        raise Fail("broken")


async def _work_in_task(value: dict[str, Any], context: Context) -> None:
    _work(value, context)


@pytest.mark.parametrize("function", [_work_in_task, _work], ids=["async", "thread"])
@pytest.mark.parametrize(
    ("text", "state"),
    [("{}", job_pb2.JOB_STATE_COMPLETED), ('{"fail": true}', job_pb2.JOB_STATE_FAILED)],
    ids=["return", "raise"],
)
async def test_follower_sees_it_in_the_terminal_status(
    server: Replica, caller: Caller, function: Any, text: str, state: int
) -> None:
    ids = [await caller.create(text=text) for _ in range(_JOBS)]
    follows = [
        asyncio.create_task(caller.follow(job_id, lambda status: status.HasField("end_time")))
        for job_id in ids
    ]
    async with worker(server, Processor(function, "q"), concurrency=4):
        ended = await asyncio.gather(*follows)
    assert [status.state for status in ended] == [state] * _JOBS
    shown = [(status.progress.percent, status.progress.message) for status in ended]
    assert shown == [(100, "done")] * _JOBS


async def test_next_attempt_begins_without_it(server: Replica, caller: Caller) -> None:
    @processor("q", retry=RetryPolicy(max_attempts=2, initial_backoff=0.01, max_backoff=0.01))
    async def fail_first(value: dict[str, Any], context: Context) -> None:
        if context.attempt == 1:
            context.progress(50)
            raise ValueError("broken")

    async with worker(server, fail_first):
        job = await caller.run()
    assert (job.status.state, job.status.attempt) == (job_pb2.JOB_STATE_COMPLETED, 2)
    assert not job.status.HasField("progress")


async def test_progress_that_was_sent_comes_again_with_the_outcome(
    scripted: ScriptedServer,
) -> None:
    go_on = asyncio.Event()

    @processor("q")
    async def report(value: dict[str, Any], context: Context) -> None:
        context.progress(70, "sent")
        await go_on.wait()

    async with streaming(scripted, report) as stream:
        await stream.dispatch(lease("a"))
        await stream.frame("extend_leases")
        go_on.set()
        (outcome,) = await stream.outcomes(1)
    assert (outcome.progress.percent, outcome.progress.message) == (70, "sent")


async def test_attempt_that_runs_out_of_time_keeps_its_progress(scripted: ScriptedServer) -> None:
    @processor("q")
    async def hang(value: dict[str, Any], context: Context) -> None:
        context.progress(30)
        await asyncio.Event().wait()

    async with streaming(scripted, hang) as stream:
        await stream.dispatch(lease("a", attempt_timeout=Duration(nanos=100_000_000)))
        (outcome,) = await stream.outcomes(1)
    assert outcome.failure.error.reason == "ATTEMPT_TIMEOUT"
    assert outcome.progress.percent == 30


async def test_success_with_progress_is_a_whole_outcome_and_others_are_ids(
    scripted: ScriptedServer,
) -> None:
    @processor("q")
    async def report(value: dict[str, Any], context: Context) -> None:
        if value:
            context.progress(0)

    async with working(scripted, report) as running:
        stream = await scripted.next_stream(takes_ids=True)
        outcomes, ids = [], []
        await stream.dispatch(lease("a"), lease("b", text='{"x": 1}'))
        while len(outcomes) + len(ids) < 2:
            frame = await stream.frame("report_outcomes")
            outcomes += frame.outcomes
            ids += frame.succeeded_lease_ids
        assert ids == ["a"]
        (outcome,) = outcomes
        assert (outcome.lease_id, outcome.WhichOneof("result")) == ("b", "success")
        assert outcome.HasField("progress")
        running.leave(0.0)
        await stream.answer({"a": 0, "b": 0})
        await stream.see_off()
