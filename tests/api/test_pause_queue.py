"""PauseQueue and ResumeQueue."""

from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.job_service_pb2 import GetJobRequest
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import lease_all, lease_one, report, success
from tests.api.support.worker_stream import answered, work
from tests.support.probe import eventually

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


async def _pause(queues: QueueServiceStub, **fields: Any) -> pb.Queue:
    return (await queues.PauseQueue(pb.PauseQueueRequest(**({"name": "q"} | fields)))).queue


async def _resume(queues: QueueServiceStub, **fields: Any) -> pb.Queue:
    return (await queues.ResumeQueue(pb.ResumeQueueRequest(**({"name": "q"} | fields)))).queue


async def _get(queues: QueueServiceStub) -> pb.Queue:
    return (await queues.GetQueue(pb.GetQueueRequest(name="q"))).queue


async def test_paused_queue_dispatches_nothing_until_it_is_resumed(
    queues: QueueServiceStub, create: Create, channel: aio.Channel
) -> None:
    paused = await _pause(queues, reason="the site is down")
    assert paused == await _get(queues)
    assert (paused.state, paused.pause_reason) == (pb.QUEUE_STATE_PAUSED, "the site is down")
    assert not paused.HasField("pause_end_time")
    async with work(channel, window=5) as worker:
        job = await create()
        await answered(worker)
        resumed = await _resume(queues)
        assert (resumed.state, resumed.pause_reason) == (pb.QUEUE_STATE_ACTIVE, "")
        assert [lease.job_id for lease in await worker.dispatched()] == [job.id]


async def test_worker_keeps_what_it_holds_of_a_paused_queue(
    queues: QueueServiceStub, create: Create, workers: WorkerServiceStub
) -> None:
    job = await create()
    lease = await lease_one(workers)
    await _pause(queues)
    assert lease.job_id == job.id
    await report(workers, success(lease))


async def test_waiting_job_says_why_its_queue_is_paused_and_until_when(
    queues: QueueServiceStub, create: Create, jobs: JobServiceStub
) -> None:
    job = await create()
    end = Timestamp(seconds=4_000_000_000)
    paused = await _pause(queues, reason="the site is down", end_time=end)
    assert paused.pause_end_time == end
    status = (await jobs.GetJob(GetJobRequest(job_id=job.id))).job.status
    assert status.wait_reason == job_pb2.WAIT_REASON_QUEUE_PAUSED
    assert status.wait_detail == "the site is down, until 2096-10-02 07:06:40 UTC"


async def test_pause_ends_by_itself(
    queues: QueueServiceStub, create: Create, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await create()
    paused = await _pause(queues, duration=Duration(seconds=60))
    assert 59 < paused.pause_end_time.seconds - paused.update_time.seconds < 62
    assert await lease_all(workers) == []
    await sql.execute("UPDATE queue SET pause_end_time = pause_end_time - interval '61 seconds'")
    assert len(await lease_all(workers)) == 1
    active = await _get(queues)
    assert active.state == pb.QUEUE_STATE_ACTIVE
    assert not active.HasField("pause_end_time")
    assert active.etag == paused.etag
    (stats,) = (await queues.GetQueueStats(pb.GetQueueStatsRequest())).stats
    assert stats.state == pb.QUEUE_STATE_ACTIVE
    (listed,) = (await queues.ListQueues(pb.ListQueuesRequest())).queues
    assert listed == active
    assert (await _pause(queues)).state == pb.QUEUE_STATE_PAUSED


async def test_stream_gets_jobs_when_a_pause_has_ended_by_itself(
    queues: QueueServiceStub, create: Create, channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    async with work(channel, window=5) as worker:
        await _pause(queues, duration=Duration(seconds=60))
        job = await create()
        await answered(worker)
        await sql.execute("UPDATE queue SET pause_end_time = clock_timestamp()")
        assert [lease.job_id for lease in await worker.dispatched()] == [job.id]


async def test_pausing_again_replaces_reason_and_end(queues: QueueServiceStub, queue: str) -> None:
    first = await _pause(queues, reason="a", duration=Duration(seconds=60))
    second = await _pause(queues, reason="b")
    assert (second.pause_reason, second.HasField("pause_end_time")) == ("b", False)
    assert second.etag != first.etag
    assert await _pause(queues, reason="b") == second, "the same again changes nothing"


async def test_resuming_an_active_queue_changes_nothing(
    queues: QueueServiceStub, queue: str, tables: Tables
) -> None:
    before = await tables()
    await _resume(queues)
    assert await tables() == before


async def test_stale_etag_neither_pauses_nor_resumes(
    queues: QueueServiceStub, queue: str, tables: Tables
) -> None:
    stale = (await _get(queues)).etag
    paused = await _pause(queues, etag=stale)
    before = await tables()
    for call in (_pause(queues, reason="x", etag=stale), _resume(queues, etag=stale)):
        assert (await refused(call)).what == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await tables() == before
    assert (await _resume(queues, etag=paused.etag)).state == pb.QUEUE_STATE_ACTIVE


async def test_unknown_queue_is_not_found(queues: QueueServiceStub) -> None:
    for call in (_pause(queues, name="nowhere"), _resume(queues, name="nowhere")):
        assert (await refused(call)).what == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "Q"}, "name"),
        ({"reason": "x" * 501}, "reason"),
        ({"end_time": Timestamp(seconds=1_000_000_000)}, "end_time"),
        ({"end_time": Timestamp()}, "end_time"),
        ({"duration": Duration()}, "duration"),
        ({"duration": Duration(seconds=864_000_001)}, "duration"),
    ],
)
async def test_malformed_pause_is_refused(
    queues: QueueServiceStub, queue: str, tables: Tables, fields: dict[str, Any], path: str
) -> None:
    before = await tables()
    refusal = await refused(_pause(queues, **fields))
    assert refusal.what == _INVALID
    assert [v.field for v in refusal.details["BadRequest"].field_violations] == [path]
    assert await tables() == before


async def test_pause_is_known_to_another_replica_within_a_second(
    queues: QueueServiceStub, create: Create, start_replica: Any
) -> None:
    job = await create()
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as channel,
    ):
        jobs = JobServiceStub(channel)

        async def reason() -> job_pb2.WaitReason.ValueType:
            return (await jobs.GetJob(GetJobRequest(job_id=job.id))).job.status.wait_reason

        assert await reason() == job_pb2.WAIT_REASON_NO_WORKER
        await _pause(queues)
        await eventually(reason, lambda said: said == job_pb2.WAIT_REASON_QUEUE_PAUSED, seconds=1.5)
        assert await lease_all(WorkerServiceStub(channel)) == []
