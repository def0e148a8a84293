"""WaitJob: ends with the job, with a change where asked, or with its time."""

import asyncio
import time

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refused
from tests.api.support.worker import lease_one, report, success

_MINUTE = Duration(seconds=60)


async def _waiting(jobs: JobServiceStub, request: pb.WaitJobRequest) -> asyncio.Task[job_pb2.Job]:
    """A call that has arrived and waits. Calls of one channel are taken up in their order."""

    async def wait() -> job_pb2.Job:
        return (await jobs.WaitJob(request)).job

    task = asyncio.create_task(wait())
    probe = pb.WaitJobRequest(job_id=request.job_id, timeout=Duration())
    for _ in range(2):
        await jobs.WaitJob(probe)
    assert not task.done()
    return task


async def test_completion_ends_the_wait(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create()
    wait = await _waiting(jobs, pb.WaitJobRequest(job_id=job.id, timeout=_MINUTE))
    lease = await lease_one(workers)
    await report(workers, success(lease, '{"a": 1}'))
    ended = await asyncio.wait_for(wait, 10)
    assert ended.status.state == job_pb2.JOB_STATE_COMPLETED
    assert ended.status.output.json["a"] == 1


async def test_change_alone_does_not_end_the_wait(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create()
    wait = await _waiting(jobs, pb.WaitJobRequest(job_id=job.id, timeout=_MINUTE))
    await lease_one(workers)
    request = pb.WaitJobRequest(job_id=job.id, after_version=1)
    assert (await jobs.WaitJob(request)).job.status.state == job_pb2.JOB_STATE_PROCESSING
    assert not wait.done()
    wait.cancel()


async def test_newer_version_ends_the_wait(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create()
    request = pb.WaitJobRequest(job_id=job.id, timeout=_MINUTE, after_version=1)
    wait = await _waiting(jobs, request)
    await lease_one(workers)
    changed = await asyncio.wait_for(wait, 10)
    assert changed.status.state == job_pb2.JOB_STATE_PROCESSING
    assert changed.status.version > 1


@pytest.mark.parametrize("after", [-1, 0])
async def test_newer_version_at_once_needs_no_wait(
    create: Create, jobs: JobServiceStub, after: int
) -> None:
    job = await create()
    request = pb.WaitJobRequest(job_id=job.id, timeout=_MINUTE, after_version=after)
    answer = await asyncio.wait_for(jobs.WaitJob(request), 10)
    assert answer.job.status.version == 1


async def test_ended_job_ends_the_wait_whatever_the_version(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create()
    await report(workers, success(await lease_one(workers)))
    request = pb.WaitJobRequest(job_id=job.id, timeout=_MINUTE, after_version=99)
    answer = await asyncio.wait_for(jobs.WaitJob(request), 10)
    assert answer.job.status.state == job_pb2.JOB_STATE_COMPLETED


async def test_timeout_is_no_error(create: Create, jobs: JobServiceStub) -> None:
    job = await create()
    started = time.monotonic()
    request = pb.WaitJobRequest(job_id=job.id, timeout=Duration(nanos=300_000_000))
    answer = await jobs.WaitJob(request)
    assert 0.3 <= time.monotonic() - started < 10
    assert answer.job.status.state == job_pb2.JOB_STATE_PENDING
    assert answer.job.status.wait_reason == job_pb2.WAIT_REASON_NO_WORKER


async def test_answer_comes_before_the_deadline(create: Create, jobs: JobServiceStub) -> None:
    job = await create()
    started = time.monotonic()
    answer = await jobs.WaitJob(pb.WaitJobRequest(job_id=job.id), timeout=1.0)
    assert 0.4 <= time.monotonic() - started < 1.0
    assert answer.job.status.state == job_pb2.JOB_STATE_PENDING


@pytest.mark.parametrize(
    "longest",
    [Duration(seconds=-1), Duration(nanos=-1), Duration(seconds=61), Duration(seconds=2**62)],
)
async def test_timeout_out_of_range_is_refused(
    create: Create, jobs: JobServiceStub, longest: Duration
) -> None:
    request = pb.WaitJobRequest(job_id=(await create()).id, timeout=longest)
    refusal = await refused(jobs.WaitJob(request))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == ["timeout"]


async def test_basic_view_of_an_ended_job_has_no_output(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create()
    await report(workers, success(await lease_one(workers), '{"a": 1}'))
    request = pb.WaitJobRequest(job_id=job.id, view=job_pb2.JOB_VIEW_BASIC)
    assert not (await jobs.WaitJob(request)).job.status.HasField("output")


async def test_purged_job_ends_the_wait(
    create: Create, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create()
    wait = await _waiting(jobs, pb.WaitJobRequest(job_id=job.id, timeout=_MINUTE))
    await sql.execute("WITH gone AS (DELETE FROM waiting) DELETE FROM job")
    refusal = await refused(asyncio.wait_for(wait, 10))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


async def test_draining_server_ends_the_wait(
    create: Create, jobs: JobServiceStub, server: Replica
) -> None:
    job = await create()
    wait = await _waiting(jobs, pb.WaitJobRequest(job_id=job.id, timeout=_MINUTE))
    await server.drain()
    refusal = await refused(asyncio.wait_for(wait, 10))
    assert refusal.what == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    assert refusal.details["RetryInfo"].retry_delay.seconds == 1
