"""Why a job is not running yet, as GetJob and WaitJob say it."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import failure, lease_one, report
from tests.api.support.worker_stream import work
from tests.support.probe import eventually

Reason = Callable[[str], Awaitable[str]]


@pytest.fixture
def reason(jobs: JobServiceStub) -> Reason:
    """The reason of a job, asked in both ways, as the name of the enum value."""

    async def asked(job_id: str) -> str:
        got = (await jobs.GetJob(pb.GetJobRequest(job_id=job_id))).job
        request = pb.WaitJobRequest(job_id=job_id, timeout=Duration())
        waited = (await jobs.WaitJob(request)).job
        reasons = {job.status.wait_reason for job in (got, waited)}
        return "/".join(
            job_pb2.WaitReason.Name(reason).removeprefix("WAIT_REASON_") for reason in reasons
        )

    return asked


async def test_job_without_worker_says_so(create: Create, reason: Reason) -> None:
    assert await reason((await create()).id) == "NO_WORKER"


async def test_scheduled_job_waits_for_its_time(create: Create, reason: Reason) -> None:
    job = await create(schedule_time=Timestamp(seconds=4_000_000_000))
    assert await reason(job.id) == "SCHEDULE_TIME"


async def test_failed_attempt_waits_for_its_retry(
    create: Create, workers: WorkerServiceStub, reason: Reason
) -> None:
    job = await create()
    await report(workers, failure(await lease_one(workers), retry_delay=3600))
    assert await reason(job.id) == "RETRY_DELAY"


async def test_job_of_a_paused_queue_waits_for_the_queue(
    create: Create, reason: Reason, sql: asyncpg.Connection, jobs: JobServiceStub
) -> None:
    await sql.execute("UPDATE queue SET paused = true")
    job = await create()
    await eventually(lambda: reason(job.id), lambda said: said == "QUEUE_PAUSED")


async def test_full_workers_are_busy(create: Create, channel: aio.Channel, reason: Reason) -> None:
    async with work(channel, window=1) as worker:
        running, waiting = await create(), await create()
        (lease,) = await worker.dispatched()
        assert lease.job_id == running.id
        await eventually(lambda: reason(waiting.id), lambda said: said == "WORKERS_BUSY")
        assert await reason(running.id) == "UNSPECIFIED"


async def test_lists_and_streams_leave_the_reason_out(create: Create, jobs: JobServiceStub) -> None:
    job = await create()
    assert job.status.wait_reason == job_pb2.WAIT_REASON_UNSPECIFIED
    call = jobs.StreamJobStatus(pb.StreamJobStatusRequest(job_ids=[job.id]))
    assert (await call.read()).update.status.wait_reason == job_pb2.WAIT_REASON_UNSPECIFIED
    call.cancel()
