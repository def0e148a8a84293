"""Cancellation, timeouts, leaving and drains: a Worker and the real server."""

import asyncio
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.app import Replica, replica
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as jobs_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.worker import Context, Processor, RetryPolicy, Worker, processor
from tests.worker.support.callers import Caller, worker

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def caller(channel: aio.Channel) -> Caller:
    return Caller(channel)


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_cancelled_job_stops_its_processor_at_once(
    server: Replica, channel: aio.Channel, caller: Caller, kind: str
) -> None:
    started, stopped = threading.Event(), threading.Event()

    async def forever(value: dict[str, Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    def wait_in_thread(value: dict[str, Any], context: Context) -> None:
        started.set()
        asyncio.run(context.wait_cancelled())
        stopped.set()
        context.raise_if_cancelled()

    function: Any = forever if kind == "async" else wait_in_thread
    async with worker(server, Processor(function, "q")):
        job_id = await caller.create()
        await asyncio.to_thread(started.wait, 10)
        before = time.monotonic()
        await _cancel(channel, job_id)
        job = await caller.end(job_id)
        # The next extension would come after 10 s.
        assert time.monotonic() - before < 5
        assert job.status.state == job_pb2.JOB_STATE_CANCELLED
        assert stopped.is_set()


async def test_what_a_cancelled_processor_does_in_its_finally_is_awaited(
    server: Replica, channel: aio.Channel, caller: Caller
) -> None:
    started, cleaning, go_on, cleaned = (asyncio.Event() for _ in range(4))

    @processor("q")
    async def tidy(value: dict[str, Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            await go_on.wait()
            cleaned.set()

    async with worker(server, tidy):
        job_id = await caller.create()
        await started.wait()
        await _cancel(channel, job_id)
        await cleaning.wait()
        # Told again, it is not interrupted.
        await _cancel(channel, job_id)
        assert (await _cancel(channel, job_id)).status.state == job_pb2.JOB_STATE_PROCESSING
        go_on.set()
        job = await caller.end(job_id)
    assert job.status.state == job_pb2.JOB_STATE_CANCELLED
    assert cleaned.is_set()


async def test_clean_up_that_outlasts_the_grace_loses_its_lease(
    dsn: str, settings: Settings
) -> None:
    started, interrupted = asyncio.Event(), asyncio.Event()

    @processor("q")
    async def linger(value: dict[str, Any]) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            try:
                await asyncio.Event().wait()
            finally:
                interrupted.set()

    async with (
        replica(dsn, replace(settings, cancel_grace_seconds=0.5)) as server,
        aio.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        worker(server, linger),
    ):
        caller = Caller(channel)
        job_id = await caller.create()
        await started.wait()
        await _cancel(channel, job_id)
        job = await caller.end(job_id)
        assert job.status.state == job_pb2.JOB_STATE_CANCELLED
        await interrupted.wait()


async def test_thread_that_returns_a_result_after_the_cancel_completes_the_job(
    server: Replica, channel: aio.Channel, caller: Caller
) -> None:
    started = threading.Event()

    @processor("q")
    def finish(value: dict[str, Any], context: Context) -> dict[str, bool]:
        started.set()
        asyncio.run(context.wait_cancelled())
        return {"cancelled": context.cancelled}

    async with worker(server, finish):
        job_id = await caller.create()
        await asyncio.to_thread(started.wait, 10)
        await _cancel(channel, job_id)
        job = await caller.end(job_id)
    assert job.status.state == job_pb2.JOB_STATE_COMPLETED
    assert job.status.output.json["cancelled"] is True


async def _cancel(channel: aio.Channel, job_id: str) -> job_pb2.Job:
    request = jobs_pb.CancelJobRequest(job_id=job_id)
    return (await JobServiceStub(channel).CancelJob(request)).job


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
    """The worker ends the job through a replica that started while the job ran."""
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
