"""A Worker and the real server: jobs run, end, fail and are released."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import queue_service_pb2 as queues_pb
from jobsvc.worker import Context, Fail, Processor, Release, Retry, RetryPolicy, processor
from tests.support.probe import eventually
from tests.worker.support.callers import QUICK, Caller, Numbers, Sum, add, add_in_thread, worker

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def caller(channel: aio.Channel) -> Caller:
    return Caller(channel)


@pytest.mark.parametrize("function", [add, add_in_thread])
async def test_job_completes_with_its_output(
    server: Replica, caller: Caller, function: Callable[..., Any]
) -> None:
    async with worker(server, Processor(function, "q")):
        job = await caller.run('{"a": 1, "b": 2}')
    assert job.status.state == job_pb2.JOB_STATE_COMPLETED
    assert job.status.output.json["total"] == 3
    assert job.status.attempt == 1


async def test_many_jobs_end_once_each(server: Replica, caller: Caller) -> None:
    ran: list[int] = []

    async def note(numbers: Numbers) -> Sum:
        ran.append(numbers.a)
        return Sum(numbers.a)

    ids = [await caller.create(text=f'{{"a": {n}}}') for n in range(300)]
    async with worker(server, Processor(note, "q"), concurrency=50):
        for n, job_id in enumerate(ids):
            job = await caller.end(job_id)
            assert job.status.output.json["total"] == n
    assert sorted(ran) == list(range(300))


async def test_worker_declares_the_contract_of_its_queue(server: Replica, caller: Caller) -> None:
    declared = Processor(add, "q", attempt_timeout=60, lease_duration=20, retry=QUICK)
    async with worker(server, declared):
        queue = (await caller.queues.GetQueue(queues_pb.GetQueueRequest(name="q"))).queue
        assert queue.input_schema.json_schema["required"] == ["a"]
        assert queue.output_schema.json_schema["required"] == ["total"]
        assert queue.attempt_timeout.seconds == 60
        assert queue.lease_duration.seconds == 20
        assert queue.retry_policy.max_attempts == 3
        with pytest.raises(aio.AioRpcError, match="a"):
            await caller.create(text='{"b": 1}')


async def test_older_worker_leaves_a_newer_schema_and_takes_it_back_when_asked(
    server: Replica, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    async def newer(value: Sum) -> None: ...

    async def required() -> list[object]:
        queue = (await caller.queues.GetQueue(queues_pb.GetQueueRequest(name="q"))).queue
        return list(queue.input_schema.json_schema["required"])

    for function, needed in ((add, "a"), (newer, "total"), (add, "total")):
        assert "older than the queue" not in caplog.text
        async with worker(server, Processor(function, "q")):
            assert await required() == [needed]
    assert caplog.text.count("older than the queue (to roll back: --take-back)") == 1
    async with worker(server, Processor(add, "q"), take_back=True):
        assert await required() == ["a"]
        job = await caller.run('{"a": 1}')
        assert job.status.state == job_pb2.JOB_STATE_COMPLETED


async def test_input_of_another_type_uses_up_the_attempts(server: Replica, caller: Caller) -> None:
    retry = job_pb2.RetryPolicy(max_attempts=3, initial_backoff=Duration(nanos=10_000_000))
    job_id = await caller.create(text='{"a": "one"}', retry_policy=retry)
    async with worker(server, Processor(add, "q")):
        job = await caller.end(job_id)
    assert job.status.state == job_pb2.JOB_STATE_FAILED
    assert job.status.attempt == 3
    assert job.status.error.code == code_pb2.INVALID_ARGUMENT
    assert job.status.error.reason == "INPUT_REJECTED"


async def test_job_that_an_older_worker_rejects_is_done_by_a_newer_one(
    server: Replica, caller: Caller
) -> None:
    async def add_texts(value: dict[str, Any]) -> Sum:
        return Sum(int(value["a"]))

    retry = job_pb2.RetryPolicy(max_attempts=100, initial_backoff=Duration(nanos=50_000_000))
    job_id = await caller.create(text='{"a": "1"}', retry_policy=retry)
    async with worker(server, Processor(add, "q")):
        await caller.follow(job_id, lambda status: status.attempt >= 2)
        async with worker(server, Processor(add_texts, "q")):
            job = await caller.end(job_id)
    assert job.status.output.json["total"] == 1
    assert job.status.recent_attempts[1].error.reason == "INPUT_REJECTED"


async def test_exception_is_retried_and_the_next_attempt_knows_why(
    server: Replica, caller: Caller
) -> None:
    told = []

    @processor("q", retry=QUICK)
    async def flaky(value: dict[str, Any], context: Context) -> dict[str, Any]:
        told.append((context.attempt, context.last_attempt, context.previous_error))
        if context.attempt < 3:
            raise Retry("come back", delay=0, reason="TOO_SOON")
        return {}

    async with worker(server, flaky):
        job = await caller.run()
    assert job.status.state == job_pb2.JOB_STATE_COMPLETED
    assert [(number, last) for number, last, _ in told] == [(1, False), (2, False), (3, True)]
    assert told[0][2] is None
    assert told[1][2] is not None
    assert (told[1][2].code, told[1][2].reason) == ("UNAVAILABLE", "TOO_SOON")
    assert told[1][2].message == "come back"


async def test_unexpected_exception_keeps_its_stack_trace(server: Replica, caller: Caller) -> None:
    @processor("q", retry=RetryPolicy(max_attempts=1))
    def broken(value: dict[str, Any]) -> None:
        raise LookupError("nothing\0 there")

    async with worker(server, broken):
        job = await caller.run()
    assert job.status.state == job_pb2.JOB_STATE_FAILED
    assert job.status.error.reason == "LOOKUP_ERROR"
    assert job.status.error.message == "nothing there"
    assert "in broken" in job.status.error.stack_trace


async def test_fail_ends_the_job_at_once(server: Replica, caller: Caller) -> None:
    @processor("q", retry=QUICK)
    async def hopeless(value: dict[str, Any]) -> None:
        raise Fail("never", reason="HOPELESS", code="NOT_FOUND")

    async with worker(server, hopeless):
        job = await caller.run()
    assert (job.status.attempt, job.status.error.reason) == (1, "HOPELESS")


async def test_release_uses_no_attempt(server: Replica, caller: Caller) -> None:
    deliveries: list[int] = []

    @processor("q", retry=RetryPolicy(max_attempts=1))
    async def picky(value: dict[str, Any], context: Context) -> None:
        deliveries.append(context.attempt)
        if len(deliveries) < 3:
            raise Release(reason="not yet")

    async with worker(server, picky):
        job = await caller.run()
    assert job.status.state == job_pb2.JOB_STATE_COMPLETED
    assert deliveries == [1, 1, 1]


async def test_refused_output_is_a_permanent_failure(server: Replica, caller: Caller) -> None:
    @processor("q")
    async def spiteful(value: dict[str, Any]) -> dict[str, Any]:
        return {"text": "\0"}

    async with worker(server, spiteful):
        job = await caller.run()
    assert job.status.state == job_pb2.JOB_STATE_FAILED
    assert job.status.attempt == 1


async def test_oversize_output_is_a_permanent_failure(server: Replica, caller: Caller) -> None:
    @processor("q")
    async def huge(value: dict[str, Any]) -> dict[str, Any]:
        return {"text": "x" * 300_000}

    async with worker(server, huge):
        job = await caller.run()
    assert (job.status.attempt, job.status.error.reason) == (1, "OUTPUT_TOO_LARGE")


async def test_progress_is_followed_before_the_next_heartbeat(
    server: Replica, caller: Caller
) -> None:
    seen = asyncio.Event()

    @processor("q")
    async def slow(value: dict[str, Any], context: Context) -> None:
        context.progress(40, "reading")
        await seen.wait()

    async with worker(server, slow):
        job_id = await caller.create()
        status = await asyncio.wait_for(
            caller.follow(job_id, lambda status: status.progress.percent == 40), 3
        )
        assert status.progress.message == "reading"
        seen.set()
        await caller.end(job_id)


class Odd(msgspec.Struct):
    """An input whose bound not every language reads alike."""

    number: Annotated[int, msgspec.Meta(le=2**60)]


async def test_warnings_of_the_server_are_logged_once_when_queues_are_declared(
    server: Replica, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    def read(numbers: Odd, context: Context) -> None: ...

    async with worker(server, Processor(read, "q")):
        await eventually(lambda: "SCHEMA_NOT_PORTABLE" in caplog.text)
        job = await caller.end(await caller.create(text='{"number": 7}'))
    assert job.status.state == job_pb2.JOB_STATE_COMPLETED
    assert caplog.text.count("SCHEMA_NOT_PORTABLE") == 1
