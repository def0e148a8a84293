"""StreamJobStatus when things are slow or lost: hints, readers, other replicas, long silence."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import asyncpg
import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as worker_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.status_stream import ended, follow, synced, update
from tests.api.support.worker import lease_one, report, success
from tests.support.settings import TEST_SETTINGS

_PROCESSING = job_pb2.JOB_STATE_PROCESSING
_COMPLETED = job_pb2.JOB_STATE_COMPLETED


@pytest.fixture
def settings() -> Settings:
    """Silence is broken soon."""
    return replace(TEST_SETTINGS, heartbeat_interval_seconds=0.3)


async def test_silence_is_broken_by_heartbeats(create: Create, jobs: JobServiceStub) -> None:
    call = follow(jobs, (await create()).id)
    await update(call)
    await synced(call)
    beats = [await call.read() for _ in range(2)]
    assert [beat.WhichOneof("event") for beat in beats] == ["heartbeat"] * 2
    times = [beat.heartbeat.server_time.ToDatetime() for beat in beats]
    # A heartbeat comes after 0.8 to 1.0 of the interval.
    assert 0.23 < (times[1] - times[0]).total_seconds() < 3
    call.cancel()


async def _next_update(call: aio.UnaryStreamCall) -> job_pb2.JobStatus:
    """The status of the next update, heartbeats left out."""
    async with asyncio.timeout(10):
        while not (message := await call.read()).HasField("update"):
            assert message.HasField("heartbeat")
    return message.update.status


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, poll_interval_seconds=3600.0)])
async def test_hint_tells_of_a_change_on_another_replica(
    create: Create,
    jobs: JobServiceStub,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
    settings: Settings,
) -> None:
    job = await create()
    call = follow(jobs, job.id)
    await update(call)
    await synced(call)
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as channel,
    ):
        workers = WorkerServiceStub(channel)
        lease = await lease_one(workers)
        assert (await _next_update(call)).state == _PROCESSING
        await report(workers, success(lease, '{"a": 1}'))
        last = await _next_update(call)
    assert (last.state, last.output.json["a"]) == (_COMPLETED, 1)
    await ended(call)


async def test_poll_finds_a_change_that_no_hint_told_of(
    create: Create, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create()
    call = follow(jobs, job.id)
    await update(call)
    await synced(call)
    await sql.execute("UPDATE waiting SET version = 5")
    assert (await _next_update(call)).version == 5
    await sql.execute(
        """WITH gone AS (DELETE FROM waiting RETURNING job_id)
        INSERT INTO result (job_id, state, attempt, version, worker_id, end_time, purge_time,
            progress_message)
        SELECT job_id, 3, 1, 6, '', now(), now() + interval '1 day', '' FROM gone"""
    )
    assert (await _next_update(call)).state == _COMPLETED
    await ended(call)


async def test_slow_reader_gets_the_latest_and_always_the_terminal_status(
    create: Create, server: Replica, workers: WorkerServiceStub
) -> None:
    job = await create()
    # A transport that holds 64 KiB and does not grow: about 30 updates.
    narrow = (("grpc.http2.bdp_probe", 0),)
    async with aio.insecure_channel(f"127.0.0.1:{server.port}", options=narrow) as channel:
        call = follow(JobServiceStub(channel), job.id)
        await update(call)
        await synced(call)
        lease = await lease_one(workers)
        for n in range(300):
            progress = job_pb2.JobProgress(message=f"{n:03}" + "\U0001f422" * 497)
            extension = worker_pb.LeaseExtension(lease_id=lease.lease_id, progress=progress)
            await workers.ExtendLeases(worker_pb.ExtendLeasesRequest(extensions=[extension]))
        await report(workers, success(lease))
        versions = []
        while (message := await call.read()) is not aio.EOF:
            if message.HasField("update"):
                versions.append(message.update.status.version)
                state = message.update.status.state
    assert versions == sorted(set(versions))
    assert (state, versions[-1]) == (_COMPLETED, 303)
    assert len(versions) < 150
