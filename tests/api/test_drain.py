"""A replica that is about to go: new calls are refused, workers may finish what they hold."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jobsvc.api.server import SERVICES
from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as job_service
from jobsvc.v1 import queue_service_pb2 as queue_service
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, lease_all, lease_one, release, report, success
from tests.api.support.worker_stream import HandStream, open_stream, subscribe, work
from tests.support.settings import TEST_SETTINGS

_DRAINING = (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")


@pytest.fixture
async def leaving(create: Create, channel: aio.Channel) -> AsyncIterator[HandStream]:
    """A worker that keeps the drain waiting while it holds a lease."""
    async with work(channel) as stream:
        yield stream


async def test_worker_is_told_and_may_finish_what_it_holds(
    leaving: HandStream, create: Create, server: Replica
) -> None:
    await create()
    (lease,) = await leaving.dispatched()
    draining = asyncio.create_task(server.drain())
    drain = await leaving.frame("drain")
    assert drain.grace == Duration(seconds=3)
    assert drain.reason
    (status,) = await leaving.extend(pb.LeaseExtension(lease_id=lease.lease_id))
    assert status.state == pb.LEASE_STATE_HELD
    assert not draining.done()
    assert await leaving.report(success(lease)) == [OK]
    assert (await leaving.refusal()).what == _DRAINING
    await asyncio.wait_for(draining, 10)


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, drain_seconds=60)])
async def test_idle_worker_does_not_hold_up_the_drain(leaving: HandStream, server: Replica) -> None:
    await asyncio.wait_for(server.drain(), 10)
    await leaving.frame("drain")
    assert (await leaving.refusal()).what == _DRAINING


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, drain_seconds=0.3)])
async def test_worker_that_stays_is_cut_off_after_the_grace(
    leaving: HandStream, create: Create, server: Replica
) -> None:
    await create()
    await leaving.dispatched()
    await asyncio.wait_for(server.drain(), 10)
    await leaving.frame("drain")


async def test_nothing_is_dispatched_any_more(
    leaving: HandStream, create: Create, server: Replica, sql: asyncpg.Connection
) -> None:
    await create()
    (lease,) = await leaving.dispatched()
    draining = asyncio.create_task(server.drain())
    await leaving.frame("drain")
    await leaving.set_window(100)
    # Ready again at once, for a worker with an open window.
    assert await leaving.report(release(lease)) == [OK]
    assert (await leaving.refusal()).what == _DRAINING
    await draining
    # A claim that was under way may have taken it, and has redelivered it.
    assert tuple(await sql.fetchrow("SELECT attempt, redeliveries FROM waiting") or ()) == (0, 0)


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, drain_seconds=60)])
async def test_new_calls_are_refused_and_reports_are_taken(
    leaving: HandStream,
    create: Create,
    server: Replica,
    channel: aio.Channel,
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    queues: QueueServiceStub,
    tables: Tables,
) -> None:
    await create()
    (held,) = await leaving.dispatched()
    await leaving.set_window(0)
    await leaving.extend(pb.LeaseExtension(lease_id=held.lease_id))
    job = await create()
    lease = await lease_one(workers, worker_id="w2")
    draining = asyncio.create_task(server.drain())
    await leaving.frame("drain")
    before = await tables()
    request = job_service.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
    for call in (
        jobs.CreateJob(request),
        jobs.BatchCreateJobs(job_service.BatchCreateJobsRequest(requests=[request])),
        jobs.GetJob(job_service.GetJobRequest(job_id=job.id)),
        jobs.WaitJob(job_service.WaitJobRequest(job_id=job.id)),
        jobs.StreamJobStatus(job_service.StreamJobStatusRequest(job_ids=[job.id])).read(),
        lease_all(workers),
        queues.UpdateQueue(queue_service.UpdateQueueRequest(queue={"name": "q"})),
        queues.GetQueue(queue_service.GetQueueRequest(name="q")),
        queues.ListQueues(queue_service.ListQueuesRequest()),
        queues.GetQueueStats(queue_service.GetQueueStatsRequest()),
    ):
        refusal = await refused(call)
        assert refusal.what == _DRAINING
        assert refusal.details["RetryInfo"].retry_delay.seconds == 1
    async with open_stream(channel) as stream:
        await stream.send(subscribe=subscribe())
        assert (await stream.refusal()).what == _DRAINING
    assert await tables() == before
    assert await report(workers, success(lease), worker_id="w2") == [OK]
    assert await leaving.report(success(held)) == [OK]
    await draining


async def test_health_says_of_each_service_whether_it_serves(
    leaving: HandStream, create: Create, server: Replica, channel: aio.Channel
) -> None:
    await create()
    (lease,) = await leaving.dispatched()
    health = health_pb2_grpc.HealthStub(channel)

    async def told() -> set[int]:
        requests = [health_pb2.HealthCheckRequest(service=name) for name in ("", *SERVICES)]
        return {(await health.Check(request)).status for request in requests}

    watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICES[0]))
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
    assert await told() == {health_pb2.HealthCheckResponse.SERVING}
    unknown = health.Check(health_pb2.HealthCheckRequest(service="jobsvc.v1.Nothing"))
    assert (await refused(unknown)).code == grpc.StatusCode.NOT_FOUND
    draining = asyncio.create_task(server.drain())
    await leaving.frame("drain")
    assert await told() == {health_pb2.HealthCheckResponse.NOT_SERVING}
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    watch.cancel()
    assert await leaving.report(success(lease)) == [OK]
    await draining


async def test_draining_stream_is_not_replaced_by_that_to_another_replica(
    leaving: HandStream,
    create: Create,
    server: Replica,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
) -> None:
    await create()
    (lease,) = await leaving.dispatched()
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as elsewhere,
    ):
        draining = asyncio.create_task(server.drain())
        await leaving.frame("drain")
        async with work(elsewhere, held_lease_ids=[lease.lease_id]) as second:
            # Either stream will do until the grace is over.
            (status,) = await second.extend(pb.LeaseExtension(lease_id=lease.lease_id))
            assert status.state == pb.LEASE_STATE_HELD
            assert await leaving.report(success(lease)) == [OK]
            assert (await leaving.refusal()).what == _DRAINING
            await draining
            await create_there(elsewhere)
            assert len(await second.dispatched()) == 1


async def create_there(channel: aio.Channel) -> None:
    """Creates a job on another replica."""
    request = job_service.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))
    await JobServiceStub(channel).CreateJob(request)
