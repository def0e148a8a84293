"""One caller cannot take the replica from the others: each has a share of every limit."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, cast

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import worker_service_pb2
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2 import GetQueueRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.peer import peer
from tests.api.support.refusal import Refusal, refused
from tests.api.support.status_stream import follow, update
from tests.api.support.worker_stream import open_stream, work
from tests.support.settings import TEST_SETTINGS

#: Ten of everything; a caller that is alone gets eight. And sessions for what a replica does beside
#: the calls that a test holds up.
_TEN = replace(
    TEST_SETTINGS, max_calls=10, max_status_streams=10, max_worker_streams=10, pool_size=12
)
_ALONE = 8

pytestmark = pytest.mark.parametrize("settings", [_TEN])


@pytest.fixture
async def another(server: Replica) -> AsyncIterator[aio.Channel]:
    """A channel of another caller."""
    async with peer(server, "127.0.0.2") as channel:
        yield channel


def _check(seen: Refusal, reason: str, kind: str) -> None:
    """The refusal must tell of the caller's own share, and of nobody else."""
    assert seen.what[1] == reason
    (violation,) = seen.details["QuotaFailure"].violations
    assert violation.subject == f"your share of {kind}"
    assert "127.0" not in f"{seen.message}{violation}"
    assert seen.details["RetryInfo"].retry_delay.seconds == 1


async def _held(
    calls: Iterable[Awaitable[Any]], count: int, kind: str
) -> list[asyncio.Future[Any]]:
    """Starts calls of which all but `count` are refused, and returns those that are held."""
    living = {asyncio.ensure_future(call) for call in calls}
    ended: set[asyncio.Future[Any]] = set()
    while len(living) > count:
        done, living = await asyncio.wait(living, timeout=10, return_when="FIRST_COMPLETED")
        assert done
        ended |= done
    assert len(living) == count
    for call in ended:
        _check(await refused(call), "RATE_LIMITED", kind)
    return list(living)


def _waits(jobs: JobServiceStub, job_id: str) -> Iterable[Awaitable[Any]]:
    """More calls than one caller may have waiting."""
    request = pb.WaitJobRequest(job_id=job_id, timeout=Duration(seconds=60))
    for _ in range(20):
        yield cast(Awaitable[Any], jobs.WaitJob(request))


async def test_waiting_calls_of_one_caller_leave_a_share_to_others(
    jobs: JobServiceStub, another: aio.Channel, create: Create
) -> None:
    job = await create()
    held = await _held(_waits(jobs, job.id), _ALONE, "WaitJob calls")
    answered = pb.WaitJobRequest(job_id=job.id, timeout=Duration())
    assert (await JobServiceStub(another).WaitJob(answered)).job.id == job.id
    for call in held:
        call.cancel()


async def test_waiting_callers_leave_all_leases_to_workers(
    jobs: JobServiceStub, channel: aio.Channel, create: Create
) -> None:
    job = await create(schedule_delay=Duration(seconds=60))
    held = await _held(_waits(jobs, job.id), _ALONE, "WaitJob calls")
    lease = worker_service_pb2.LeaseJobsRequest(
        worker=worker_service_pb2.WorkerInfo(worker_id="w"), queues=[job.spec.queue]
    )
    assert not (await WorkerServiceStub(channel).LeaseJobs(lease)).leases
    for call in held:
        call.cancel()


async def test_status_streams_of_one_caller_leave_a_share_to_others(
    jobs: JobServiceStub, another: aio.Channel, create: Create
) -> None:
    job = await create()
    calls = [follow(jobs, job.id) for _ in range(_ALONE)]
    for call in calls:
        await update(call)
    _check(await refused(follow(jobs, job.id).read()), "STREAM_LIMIT", "status streams")
    other = follow(JobServiceStub(another), job.id)
    await update(other)
    for call in (*calls, other):
        call.cancel()


async def test_worker_streams_of_one_caller_leave_a_share_to_others(
    channel: aio.Channel, another: aio.Channel, create: Create
) -> None:
    await create(schedule_delay=Duration(seconds=60))
    async with AsyncExitStack() as streams:
        for number in range(_ALONE):
            await streams.enter_async_context(work(channel, worker_id=f"w{number}"))
        async with open_stream(channel) as beyond:
            _check(await beyond.refusal(), "STREAM_LIMIT", "worker streams")
        async with work(another, worker_id="other") as other:
            await other.leave()


async def test_calls_of_one_caller_leave_a_share_to_others(
    create: Create, queue: str, another: aio.Channel, sql: asyncpg.Connection
) -> None:
    await sql.execute("BEGIN; LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
    held = await _held((create() for _ in range(20)), _ALONE, "calls")
    await QueueServiceStub(another).GetQueue(GetQueueRequest(name=queue))
    await sql.execute("ROLLBACK")
    await asyncio.gather(*held)
