"""Streams of workers that have reached their age: their workers move, and lose nothing."""

import asyncio
from dataclasses import replace

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.settings import Settings
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status
from tests.api.support.worker import OK, success
from tests.api.support.worker_stream import answered, work
from tests.support.settings import TEST_SETTINGS

#: Long enough for what happens on the second stream before it drains, too.
AGE_SECONDS = 3.0


@pytest.fixture
def settings() -> Settings:
    return replace(
        TEST_SETTINGS, max_worker_stream_age_seconds=AGE_SECONDS, heartbeat_interval_seconds=1.0
    )


async def test_old_stream_gets_no_jobs_and_the_next_one_takes_its_leases(
    channel: aio.Channel, create: Create
) -> None:
    await create()
    async with work(channel, window=1) as first:
        (lease,) = await first.dispatched()
        drain = await first.frame("drain")
        assert drain.grace == Duration(seconds=3)
        assert "old" in drain.reason
        await create()
        await first.set_window(10)
        await answered(first)
        held = [lease.lease_id]
        async with work(channel, 1, resume_token=first.token, held_lease_ids=held) as second:
            await answered(second)
            # Either stream will do, and the job counts on the second.
            (status,) = await first.extend(pb.LeaseExtension(lease_id=lease.lease_id))
            assert status.state == pb.LEASE_STATE_HELD
            assert await first.report(success(lease)) == [OK]
            assert len(await second.dispatched()) == 1
            await first.leave()


@pytest.mark.parametrize(
    "settings",
    [replace(TEST_SETTINGS, max_worker_stream_age_seconds=AGE_SECONDS, drain_seconds=0.5)],
)
async def test_worker_that_stays_is_told_to_connect_anew_and_keeps_its_leases(
    channel: aio.Channel, create: Create, status: Status
) -> None:
    job = await create()
    async with work(channel) as first:
        (lease,) = await first.dispatched()
        await first.frame("drain")
        end = await first.refusal()
        assert end.what == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
        assert "connect anew" in end.message
    async with work(channel, held_lease_ids=[lease.lease_id]) as second:
        assert await second.report(success(lease)) == [OK]
    assert (await status(job.id)).attempt == 1


@pytest.mark.parametrize(
    "settings",
    [replace(TEST_SETTINGS, max_worker_stream_age_seconds=0, heartbeat_interval_seconds=0.5)],
)
async def test_zero_lets_streams_grow_as_old_as_they_like(channel: aio.Channel) -> None:
    async with work(channel) as stream:
        for _ in range(6):
            await stream.frame("heartbeat")


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, max_worker_stream_age_seconds=0.1)])
async def test_waiting_call_is_no_stream_and_gets_its_job_however_old(
    workers: WorkerServiceStub, channel: aio.Channel, create: Create
) -> None:
    request = pb.LeaseJobsRequest(
        worker=pb.WorkerInfo(worker_id="unary"), queues=["q"], wait=Duration(seconds=20)
    )
    waiting = asyncio.ensure_future(workers.LeaseJobs(request))
    # Streams that came later drain, so the call is old enough by then.
    async with work(channel) as stream:
        await stream.frame("drain")
    await create()
    assert len((await waiting).leases) == 1
