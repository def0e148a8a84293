"""Calls that make a job ready, or change it, are known at once, not by the next poll."""

import asyncio
from dataclasses import replace

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker_stream import work
from tests.support.settings import TEST_SETTINGS

#: Long before a poll.
_PROMPT_SECONDS = 20.0
#: After its last claim, a queue is searched once more within a second.
_RESCAN_SECONDS = 1.5


@pytest.fixture
def settings() -> Settings:
    return replace(TEST_SETTINGS, poll_interval_seconds=60.0)


async def test_retried_job_is_dispatched_at_once(
    channel: aio.Channel, jobs: JobServiceStub, create: Create
) -> None:
    job = await create()
    await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id))
    async with work(channel) as stream, asyncio.timeout(_PROMPT_SECONDS):
        await asyncio.sleep(_RESCAN_SECONDS)  # so that no claim finds the job by itself
        await jobs.RetryJob(pb.RetryJobRequest(job_id=job.id))
        assert [lease.job_id for lease in await stream.dispatched()] == [job.id]


@pytest.mark.parametrize("seconds", [0, 2])
async def test_job_with_an_earlier_schedule_is_dispatched_in_time(
    channel: aio.Channel, jobs: JobServiceStub, create: Create, seconds: int
) -> None:
    times = [Timestamp(), Timestamp()]
    for time, later in zip(times, (3600, seconds), strict=True):
        time.GetCurrentTime()
        time.seconds += later
    job = await create(schedule_time=times[0])
    async with work(channel) as stream, asyncio.timeout(_PROMPT_SECONDS):
        await asyncio.sleep(_RESCAN_SECONDS)  # so that no claim finds the job by itself
        spec = job_pb2.JobSpec(schedule_time=times[1])
        await jobs.UpdateJob(pb.UpdateJobRequest(job_id=job.id, spec=spec))
        assert [lease.job_id for lease in await stream.dispatched()] == [job.id]


async def test_wait_learns_of_every_change_at_once(jobs: JobServiceStub, create: Create) -> None:
    job = await create()

    async def next_status(call: aio.UnaryUnaryCall, after: int) -> int:
        request = pb.WaitJobRequest(job_id=job.id, after_version=after, timeout={"seconds": 60})
        waiting = asyncio.ensure_future(jobs.WaitJob(request))
        await call
        return (await waiting).job.status.version

    async with asyncio.timeout(_PROMPT_SECONDS):
        update = pb.UpdateJobRequest(job_id=job.id, spec=job_pb2.JobSpec(priority=1))
        version = await next_status(jobs.UpdateJob(update), job.status.version)
        cancel = pb.CancelJobRequest(job_id=job.id)
        await next_status(jobs.CancelJob(cancel), version)
