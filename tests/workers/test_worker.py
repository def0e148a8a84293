"""A Worker and the real server: jobs run, fail, are cancelled and handed back."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2
from grpc import aio

from jobsvc.app import Replica, replica
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as jobs_pb
from jobsvc.v1 import queue_service_pb2 as queues_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from workers import Context, Fail, Processor, Release, Retry, RetryPolicy, Worker, processor

pytestmark = pytest.mark.timeout(60)

QUICK = RetryPolicy(max_attempts=3, initial_backoff=0.01, max_backoff=0.01)


class Caller:
    """Creates jobs and waits for their ends."""

    def __init__(self, channel: aio.Channel) -> None:
        self.jobs = JobServiceStub(channel)
        self.queues = QueueServiceStub(channel)

    async def create(self, queue: str = "q", text: str = "{}", **spec: Any) -> str:
        await self.queues.UpdateQueue(
            queues_pb.UpdateQueueRequest(queue=queues_pb.Queue(name=queue), allow_missing=True)
        )
        request = jobs_pb.CreateJobRequest(
            spec=job_pb2.JobSpec(queue=queue, input=payload_pb2.Payload(json_text=text), **spec)
        )
        return (await self.jobs.CreateJob(request)).job.id

    async def follow(self, job_id: str, until: Callable[[Any], bool]) -> Any:
        """The first status that satisfies `until`."""
        request = jobs_pb.StreamJobStatusRequest(job_ids=[job_id])
        async for response in self.jobs.StreamJobStatus(request):
            if response.WhichOneof("event") == "update" and until(response.update.status):
                return response.update.status
        raise AssertionError("the stream ended early")

    async def end(self, job_id: str) -> Any:
        """The job, ended."""
        await self.follow(job_id, lambda status: status.HasField("end_time"))
        return (await self.jobs.GetJob(jobs_pb.GetJobRequest(job_id=job_id))).job

    async def run(self, text: str = "{}", queue: str = "q", **spec: Any) -> Any:
        return await self.end(await self.create(queue, text, **spec))


@pytest.fixture
def caller(channel: aio.Channel) -> Caller:
    return Caller(channel)


@asynccontextmanager
async def worker(
    server: Replica, *processors: Processor[..., object], **options: Any
) -> AsyncIterator[Worker]:
    """A subscribed worker, so that its queues are declared."""
    options.setdefault("grace_seconds", 0.0)
    async with Worker(processors, target=f"127.0.0.1:{server.port}", **options) as running:
        await running.wait_subscribed()
        yield running


@dataclass
class Numbers:
    a: int
    b: int = 0


@dataclass
class Sum:
    total: int


async def add(numbers: Numbers) -> Sum:
    return Sum(numbers.a + numbers.b)


def add_in_thread(numbers: Numbers) -> Sum:
    return Sum(numbers.a + numbers.b)


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


async def test_input_of_another_type_fails_for_good(server: Replica, caller: Caller) -> None:
    job_id = await caller.create(text='{"a": "one"}')
    async with worker(server, Processor(add, "q", retry=QUICK)):
        job = await caller.end(job_id)
    assert job.status.state == job_pb2.JOB_STATE_FAILED
    assert job.status.attempt == 1
    assert job.status.error.code == code_pb2.INVALID_ARGUMENT
    assert job.status.error.reason == "INPUT_REJECTED"


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


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_cancelled_job_stops_its_processor(
    dsn: str, settings: Settings, sql: asyncpg.Connection, kind: str
) -> None:
    started, stopped = threading.Event(), threading.Event()

    async def forever(value: dict[str, Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    def look(value: dict[str, Any], context: Context) -> None:
        started.set()
        asyncio.run(context.wait_cancelled())
        stopped.set()
        context.raise_if_cancelled()

    function: Any = forever if kind == "async" else look
    async with (
        replica(dsn, replace(settings, extend_interval_seconds=0.2)) as server,
        aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        worker(server, Processor(function, "q")),
    ):
        caller = Caller(channel)
        job_id = await caller.create()
        await asyncio.to_thread(started.wait, 10)
        # CancelJob is not there yet: the request as it will write it.
        await sql.execute("UPDATE lease SET cancel_request_time = clock_timestamp()")
        job = await caller.end(job_id)
        assert job.status.state == job_pb2.JOB_STATE_CANCELLED
        assert stopped.is_set()


async def test_attempt_timeout_ends_the_attempt(server: Replica, caller: Caller) -> None:
    @processor("q", retry=RetryPolicy(max_attempts=1), lease_duration=5, attempt_timeout=5)
    async def forever(value: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    async with worker(server, forever):
        job = await caller.run(attempt_timeout=Duration(seconds=1))
    assert job.status.state == job_pb2.JOB_STATE_FAILED
    assert job.status.error.reason == "ATTEMPT_TIMEOUT"


async def test_leaving_worker_hands_its_job_to_the_next(server: Replica, caller: Caller) -> None:
    first, started = [True], asyncio.Event()

    @processor("q", retry=RetryPolicy(max_attempts=1))
    async def pass_on(value: dict[str, Any], context: Context) -> dict[str, int]:
        if first.pop() if first else False:
            started.set()
            await asyncio.Event().wait()
        return {"attempt": context.attempt}

    async with worker(server, pass_on):
        job_id = await caller.create()
        await started.wait()
    async with worker(server, pass_on):
        job = await caller.end(job_id)
    assert job.status.output.json["attempt"] == 1


async def test_leaving_worker_lets_its_job_end(server: Replica, caller: Caller) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    @processor("q")
    async def finish(value: dict[str, Any]) -> None:
        started.set()
        await go_on.wait()

    async with worker(server, finish, grace_seconds=20.0) as running:
        job_id = await caller.create()
        await started.wait()
        running.leave()
        go_on.set()
        await running.wait_left()
        job = (await caller.jobs.GetJob(jobs_pb.GetJobRequest(job_id=job_id))).job
        assert job.status.state == job_pb2.JOB_STATE_COMPLETED


async def test_job_goes_on_when_its_replica_drains(
    server: Replica, dsn: str, settings: Settings
) -> None:
    """The worker ends the job through a replica that came up while it ran."""
    started, go_on = asyncio.Event(), asyncio.Event()

    @processor("q")
    async def steady(value: dict[str, Any], context: Context) -> dict[str, int]:
        started.set()
        await go_on.wait()
        return {"attempt": context.attempt}

    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    target = f"ipv4:127.0.0.1:{server.port},127.0.0.1:{port}"
    async with Worker([steady], target=target, grace_seconds=0.0):
        async with aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            job_id = await Caller(channel).create()
            await started.wait()
        async with (
            replica(dsn, replace(settings, listen=f"127.0.0.1:{port}")),
            aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            await server.drain()
            go_on.set()
            job = await Caller(channel).end(job_id)
    assert job.status.state == job_pb2.JOB_STATE_COMPLETED
    assert job.status.output.json["attempt"] == 1


async def test_outcome_reaches_a_server_that_was_away(dsn: str, settings: Settings) -> None:
    """The server vanishes while the job runs, and comes back after it has ended."""
    started, go_on = asyncio.Event(), asyncio.Event()

    @processor("q")
    async def steady(value: dict[str, Any], context: Context) -> dict[str, int]:
        started.set()
        await go_on.wait()
        return {"attempt": context.attempt}

    with socket.create_server(("127.0.0.1", 0)) as reserved:
        address = f"127.0.0.1:{reserved.getsockname()[1]}"
    fixed = replace(settings, listen=address)
    async with Worker([steady], target=address, grace_seconds=0.0):
        async with replica(dsn, fixed), aio.insecure_channel(address) as channel:
            job_id = await Caller(channel).create()
            await started.wait()
        go_on.set()
        async with replica(dsn, fixed), aio.insecure_channel(address) as channel:
            job = await Caller(channel).end(job_id)
    assert job.status.state == job_pb2.JOB_STATE_COMPLETED
    assert job.status.output.json["attempt"] == 1
