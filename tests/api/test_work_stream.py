"""The `Work` stream of a worker that keeps to the protocol."""

from dataclasses import replace

import asyncpg
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as job_service
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import LOST, OK, failure, lease_all, release, report, success
from tests.api.support.worker_stream import answered, create_many, open_stream, subscribe, work
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

_RETRY_AT_ONCE = job_pb2.RetryPolicy(initial_backoff=Duration())


async def test_subscribed_tells_the_terms(channel: aio.Channel) -> None:
    async with open_stream(channel) as stream:
        await stream.send(subscribe=subscribe())
        answer = await stream.frame("subscribed")
        assert stream.sequence == 1
        assert answer.server_id
        assert answer.extend_interval == Duration(seconds=10)
        assert answer.heartbeat_interval == Duration(seconds=5)
        assert not answer.held_leases
        assert answer.limits == pb.ServerLimits(
            max_payload_bytes=262_144, max_message_bytes=4_194_304, max_batch_items=1000
        )
        await stream.leave()


async def test_unknown_queue_is_declared_with_defaults(
    channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    async with work(channel, queues=("new-one", "new-two")):
        rows = await sql.fetch("SELECT name, max_attempts, revision FROM queue ORDER BY name")
        assert [tuple(row) for row in rows] == [("new-one", None, 1), ("new-two", None, 1)]


async def test_outcomes_are_answered_each_on_its_own(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, workers: WorkerServiceStub
) -> None:
    await create_many(jobs, 5)
    (foreign,) = await lease_all(workers, max_jobs=1, worker_id="w2")
    async with work(channel) as stream:
        done, failed, oversize, kept = await stream.dispatched()
        nul = success(kept, '{"a": "\\u0000"}')
        answers = await stream.report(
            success(done),
            failure(failed, message="m"),
            success(oversize, '{"a": "' + "x" * 262_144 + '"}'),
            nul,
            success(foreign),
            success(pb.JobLease(lease_id="nonsense")),
            failure(done),
            success(done),
        )
        assert answers == [
            OK,
            OK,
            ("INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE"),
            ("INVALID_ARGUMENT", "PAYLOAD_REJECTED"),
            LOST,
            LOST,
            LOST,
            OK,
        ]
        # The stream lives, and so do the leases whose outcomes were refused.
        assert await stream.report(success(kept), success(oversize), success(done)) == [OK] * 3
    assert await report(workers, success(foreign), worker_id="w2") == [OK]


async def test_failed_and_released_jobs_come_again(channel: aio.Channel, create: Create) -> None:
    await create(retry_policy=_RETRY_AT_ONCE)
    async with work(channel) as stream:
        (first,) = await stream.dispatched()
        assert await stream.report(failure(first)) == [OK]
        (second,) = await stream.dispatched()
        assert await stream.report(release(second)) == [OK]
        (third,) = await stream.dispatched()
        assert [lease.attempt for lease in (first, second, third)] == [1, 2, 2]
        assert len({lease.lease_id for lease in (first, second, third)}) == 3


async def test_extension_and_progress_go_by_the_stream(
    channel: aio.Channel, create: Create, jobs: JobServiceStub
) -> None:
    job = await create()
    async with work(channel) as stream:
        (lease,) = await stream.dispatched()
        (status,) = await stream.extend(
            pb.LeaseExtension(
                lease_id=lease.lease_id,
                duration=Duration(seconds=60),
                progress=job_pb2.JobProgress(percent=50),
            )
        )
        assert status.state == pb.LEASE_STATE_HELD
        assert 55 < status.expires_in.seconds <= 60
        read = await jobs.GetJob(job_service.GetJobRequest(job_id=job.id))
        assert read.job.status.progress.percent == 50


async def test_worker_leaves_with_window_0_and_half_close(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await create_many(jobs, 3)
    async with work(channel, window=1) as stream:
        (lease,) = await stream.dispatched()
        await stream.set_window(0)
        assert await stream.report(success(lease)) == [OK]
        await answered(stream)
        await stream.leave()
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 2


async def test_last_outcomes_are_confirmed_after_half_close(
    channel: aio.Channel, create: Create
) -> None:
    await create()
    async with work(channel) as stream:
        (lease,) = await stream.dispatched()
        await stream.send(report_outcomes=pb.ReportOutcomesRequest(outcomes=[success(lease)]))
        await stream.call.done_writing()
        assert (await stream.frame("outcome_results")).results[0].status.code == 0
        assert await stream.call.read() is aio.EOF


async def test_lost_lease_is_told_unasked(
    channel: aio.Channel, create: Create, sql: asyncpg.Connection
) -> None:
    await create()
    async with work(channel, window=1) as stream:
        (lease,) = await stream.dispatched()
        await sql.execute("UPDATE lease SET until = now() - interval '1 second'")
        (notice,) = (await stream.frame("lease_statuses")).leases
        assert (notice.lease_id, notice.state) == (lease.lease_id, pb.LEASE_STATE_LOST)
        assert notice.reason
        # There is capacity again, and the job comes back as the next attempt.
        (again,) = await stream.dispatched()
        assert (again.job_id, again.attempt) == (lease.job_id, 2)


async def test_stale_and_current_lease_in_one_frame_are_told_apart(
    channel: aio.Channel, create: Create, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create()
    async with work(channel) as stream:
        (stale,) = await stream.dispatched()
        # Rescued by another replica: nobody tells this one.
        await sql.execute(
            """WITH gone AS (DELETE FROM lease RETURNING *)
            INSERT INTO waiting (job_id, queue, rank, run_at, attempt, redeliveries, version,
                update_time, keyed)
            SELECT job_id, queue, rank, now(), attempt, 0, version + 1, now(), keyed FROM gone"""
        )
        (current,) = await stream.dispatched()
        outcomes = success(stale, '{"by": "stale"}'), success(current, '{"by": "current"}')
        assert await stream.report(*outcomes) == [LOST, OK]
    ended = await jobs.GetJob(job_service.GetJobRequest(job_id=job.id))
    assert ended.job.status.output.json["by"] == "current"


@pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, heartbeat_interval_seconds=0.2)])
async def test_silence_is_broken_by_heartbeats(channel: aio.Channel) -> None:
    async with work(channel) as stream:
        first = await stream.frame("heartbeat")
        second = await stream.frame("heartbeat")
        assert second.server_time.ToDatetime() > first.server_time.ToDatetime()


async def test_cancel_request_is_told_with_the_next_extension(
    channel: aio.Channel, create: Create, sql: asyncpg.Connection
) -> None:
    await create()
    async with work(channel) as stream:
        (lease,) = await stream.dispatched()
        await sql.execute("UPDATE lease SET cancel_request_time = now()")
        (status,) = await stream.extend(pb.LeaseExtension(lease_id=lease.lease_id))
        assert status.state == pb.LEASE_STATE_CANCEL_REQUESTED


async def test_worker_is_counted_while_it_is_here(
    channel: aio.Channel, sql: asyncpg.Connection
) -> None:
    async with work(channel, window=7) as stream:
        row = await eventually(lambda: sql.fetchrow("SELECT * FROM worker"))
        assert (row["worker_id"], row["queues"], row["max_window"]) == ("w1", ["q"], 7)
        await stream.leave()
    await eventually(lambda: sql.fetchval("SELECT count(*) FROM worker"), lambda count: count == 0)
