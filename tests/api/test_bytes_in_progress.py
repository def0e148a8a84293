"""Requests and answers have room for so many bytes, and who takes all of it harms nobody else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.queue_service_pb2 import GetQueueStatsRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2 import JobOutcome, JobSuccess
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.peer import peer
from tests.api.support.refusal import Refusal, refused
from tests.api.support.status_stream import follow, update
from tests.api.support.worker import OK, lease_all, lease_one, release, report
from tests.api.support.worker_stream import work
from tests.e2e.support.proxy import proxy
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

_KIB = 1024
#: A caller that is alone has room for four of the largest messages; a share is half a message.
_MESSAGE_BYTES = 512 * _KIB
_FOUR = 4
pytestmark = pytest.mark.parametrize(
    "settings",
    [
        replace(
            TEST_SETTINGS,
            max_message_bytes=_MESSAGE_BYTES,
            max_bytes_in_progress=8 * _MESSAGE_BYTES,
            max_calls=100,
            # A worker must not be taken for deaf while its frames are not read.
            acknowledge_seconds=0.5,
        )
    ],
)
_RATE_LIMITED = (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")


_LARGE = Payload(json_text=f'{{"a":"{"x" * 250 * _KIB}"}}')


def _batch(queue: str) -> pb.BatchCreateJobsRequest:
    """A request nearly as large as the largest."""
    spec = job_pb2.JobSpec(queue=queue, input=_LARGE)
    return pb.BatchCreateJobsRequest(requests=[pb.CreateJobRequest(spec=spec)] * 2)


def _check(seen: Refusal) -> None:
    assert seen.what == _RATE_LIMITED
    (violation,) = seen.details["QuotaFailure"].violations
    assert violation.subject == "your share of bytes of requests and answers"
    assert seen.details["RetryInfo"].retry_delay.seconds == 1


@asynccontextmanager
async def _locked(sql: asyncpg.Connection) -> AsyncIterator[None]:
    """Nothing can be created."""
    async with sql.transaction():
        await sql.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
        yield


async def _fill(jobs: JobServiceStub, queue: str) -> set[asyncio.Future[Any]]:
    """Takes all room of one caller: batches that cannot be written, beside others that are
    refused."""
    calls = {asyncio.ensure_future(jobs.BatchCreateJobs(_batch(queue))) for _ in range(10)}
    refusals = 0
    while refusals < 10 - _FOUR:
        done, calls = await asyncio.wait(calls, timeout=20, return_when="FIRST_COMPLETED")
        for call in done:
            _check(await refused(call))
            refusals += 1
    return calls


async def test_what_has_no_room_is_refused_and_nothing_of_it_is_written(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection, tables: Tables
) -> None:
    async with _locked(sql):
        held = await _fill(jobs, queue)
    answers = await asyncio.gather(*held, return_exceptions=True)
    created = [answer for answer in answers if isinstance(answer, pb.BatchCreateJobsResponse)]
    # Each holds some room for its answer, too.
    assert _FOUR - 1 <= len(created) <= _FOUR
    assert len((await tables())["job"]) == 2 * len(created)
    await jobs.BatchCreateJobs(_batch(queue))


async def test_small_request_without_room_is_refused_and_that_of_another_caller_is_not(
    server: Replica, channel: aio.Channel, jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    # Larger than a share.
    request = GetQueueStatsRequest(queues=["x" * 300 * _KIB])
    async with _locked(sql):
        held = await _fill(jobs, queue)
        _check(await refused(QueueServiceStub(channel).GetQueueStats(request)))
        async with peer(server, "127.0.0.2") as another:
            # Read, and found to be wrong.
            request = GetQueueStatsRequest(queues=["x" * 200 * _KIB])
            seen = await refused(QueueServiceStub(another).GetQueueStats(request))
            assert seen.code == grpc.StatusCode.INVALID_ARGUMENT
    await asyncio.gather(*held, return_exceptions=True)


@asynccontextmanager
async def _unread_answers(
    server: Replica, jobs: JobServiceStub, job_id: str
) -> AsyncIterator[asyncio.Event]:
    """Takes all room of one caller: answers that it does not read until the event is set."""
    request = pb.GetJobRequest(job_id=job_id, view=job_pb2.JOB_VIEW_FULL)
    unread: list[asyncio.Future[Any]] = []

    async def is_full() -> bool:
        # The way has room for some, too.
        unread.extend(asyncio.ensure_future(slow.GetJob(request)) for _ in range(20))
        seen = await refused(jobs.BatchCreateJobs(_batch("nowhere")))
        if seen.code == grpc.StatusCode.NOT_FOUND:
            return False
        _check(seen)
        return True

    async with proxy(server.port) as way, aio.insecure_channel(way.target) as channel:
        slow = JobServiceStub(channel)
        await channel.channel_ready()
        way.reads_answers.clear()
        await eventually(is_full)
        yield way.reads_answers
        way.reads_answers.set()
        await asyncio.gather(*unread, return_exceptions=True)


async def test_answers_have_their_bytes_until_they_are_sent(
    server: Replica, jobs: JobServiceStub, create: Create
) -> None:
    job = await create(input=_LARGE)
    async with _unread_answers(server, jobs, job.id), peer(server, "127.0.0.2") as another:
        await JobServiceStub(another).GetJob(pb.GetJobRequest(job_id=job.id))
    await jobs.BatchCreateJobs(_batch(job.spec.queue))


async def test_frame_without_room_waits_and_its_outcome_is_recorded(
    server: Replica, channel: aio.Channel, jobs: JobServiceStub, create: Create
) -> None:
    job = await create(input=_LARGE)
    async with _unread_answers(server, jobs, job.id) as read, work(channel) as stream:
        (lease,) = await stream.dispatched(acknowledge=False)
        outcome = JobOutcome(lease_id=lease.lease_id, success=JobSuccess(output=_LARGE))
        reporting = asyncio.ensure_future(stream.report(outcome))
        # Longer than a worker that is read may take to acknowledge.
        assert not (await asyncio.wait([reporting], timeout=2))[0]
        read.set()
        assert await reporting == [OK]


@asynccontextmanager
async def _unread_streams(
    server: Replica, jobs: JobServiceStub, job_id: str
) -> AsyncIterator[asyncio.Event]:
    """Takes all room of the streams of one caller: updates that it does not read until the event
    is set."""
    unread: list[aio.UnaryStreamCall] = []

    async def is_full() -> bool:
        unread.extend(follow(slow, job_id) for _ in range(10))
        call = follow(jobs, job_id)
        reading = asyncio.ensure_future(call.read())
        done, _ = await asyncio.wait([reading], timeout=0.5)
        reading.cancel()
        call.cancel()
        return not done

    async with proxy(server.port) as way, aio.insecure_channel(way.target) as channel:
        slow = JobServiceStub(channel)
        await channel.channel_ready()
        way.reads_answers.clear()
        await eventually(is_full)
        yield way.reads_answers
        way.reads_answers.set()
        for call in unread:
            call.cancel()


async def _completed(create: Create, workers: WorkerServiceStub) -> str:
    """A job with a large output."""
    job = await create()
    lease = await lease_one(workers)
    outcome = JobOutcome(lease_id=lease.lease_id, success=JobSuccess(output=_LARGE))
    assert await report(workers, outcome) == [OK]
    return job.id


async def test_output_without_room_waits_and_nothing_else_of_the_caller_does(
    server: Replica,
    channel: aio.Channel,
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    create: Create,
) -> None:
    large, small = await _completed(create, workers), await create()
    async with _unread_streams(server, jobs, large) as read:
        waiting = follow(jobs, large)
        first = asyncio.ensure_future(waiting.read())
        call = follow(jobs, small.id)
        assert (await update(call)).job_id == small.id
        call.cancel()
        async with work(channel) as stream:
            (lease,) = await stream.dispatched()
            outcome = JobOutcome(lease_id=lease.lease_id, success=JobSuccess(output=_LARGE))
            assert await stream.report(outcome) == [OK]
        async with peer(server, "127.0.0.2") as another:
            assert (await update(follow(JobServiceStub(another), large))).job_id == large
        assert not first.done()
        read.set()
        assert (await first).update.job_id == large
    waiting.cancel()


async def test_dispatch_without_room_waits_and_comes(
    server: Replica,
    channel: aio.Channel,
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    create: Create,
) -> None:
    done = await _completed(create, workers)
    async with _unread_streams(server, jobs, done) as read, work(channel) as stream:
        job = await create(input=_LARGE)
        dispatched = asyncio.ensure_future(stream.dispatched())
        assert not (await asyncio.wait([dispatched], timeout=1.5))[0]
        read.set()
        (lease,) = await dispatched
        assert lease.job_id == job.id


async def test_wait_for_jobs_without_room_is_refused_and_its_jobs_go_back_unharmed(
    server: Replica,
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    create: Create,
    sql: asyncpg.Connection,
) -> None:
    job = await create(input=_LARGE)
    (lease,) = await lease_all(workers, worker_id="w0")
    waiting = asyncio.ensure_future(lease_all(workers, wait=Duration(seconds=50)))
    # Answered after the call above has been taken up: calls of one channel come in their order.
    assert await lease_all(workers, worker_id="w2") == []
    async with _unread_answers(server, jobs, job.id), peer(server, "127.0.0.2") as another:
        released = await report(WorkerServiceStub(another), release(lease), worker_id="w0")
        assert released == [OK]
        _check(await refused(waiting))
    (again,) = await lease_all(workers, worker_id="w2", wait=Duration(seconds=20))
    assert (again.job_id, again.attempt) == (job.id, 1)
    assert await sql.fetchval("SELECT redeliveries FROM lease") == 0


async def test_others_are_served_while_one_caller_takes_all_it_can(
    server: Replica, jobs: JobServiceStub, queue: str, create: Create
) -> None:
    later = await create(schedule_delay=Duration(seconds=60))
    wait = pb.WaitJobRequest(job_id=later.id, timeout=Duration(seconds=60))
    async with peer(server, "127.0.0.2") as channel:
        another = JobServiceStub(channel)

        async def served() -> None:
            for _ in range(10):
                request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue))
                created = (await another.CreateJob(request)).job
                short = pb.WaitJobRequest(job_id=created.id, timeout=Duration())
                assert (await another.WaitJob(short)).job.id == created.id

        serving = asyncio.ensure_future(served())
        waits = [asyncio.ensure_future(jobs.WaitJob(wait)) for _ in range(150)]
        while not serving.done():
            calls = (jobs.BatchCreateJobs(_batch(queue)) for _ in range(20))
            await asyncio.gather(*calls, return_exceptions=True)
        await serving
    for call in waits:
        call.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
