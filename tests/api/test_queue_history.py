"""GetQueueHistory: what has become of the jobs of a queue, minute by minute."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeAlias

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.job_pb2 import JobSpec
from jobsvc.v1.job_service_pb2 import CancelJobRequest, CreateJobRequest
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.refusal import refused
from tests.api.support.worker import failure, lease_all, report, success

StartReplica: TypeAlias = Callable[[], AbstractAsyncContextManager[Replica]]


async def history(
    queues: QueueServiceStub, window: int = 0, step: int = 0, queue: str = "q"
) -> list[pb.QueueHistoryStep]:
    request = pb.GetQueueHistoryRequest(queue=queue)
    if window:
        request.window.seconds = window
    if step:
        request.step.seconds = step
    return list((await queues.GetQueueHistory(request)).steps)


async def row(sql: asyncpg.Connection, minutes_ago: int, **columns: Any) -> None:
    names = ", ".join(columns)
    values = ", ".join(f"${n}" for n in range(2, len(columns) + 2))
    await sql.execute(
        f"INSERT INTO queue_minute (queue, minute, {names}) VALUES ("
        f"'q', date_trunc('minute', now()) - $1::int * interval '1 minute', {values})",
        minutes_ago,
        *columns.values(),
    )


@pytest.fixture
async def old_queue(queue: str, sql: asyncpg.Connection) -> str:
    await sql.execute("UPDATE queue SET create_time = now() - interval '2 days'")
    return queue


async def test_history_is_the_last_hour_by_minutes(
    queues: QueueServiceStub, old_queue: str, sql: asyncpg.Connection
) -> None:
    steps = await history(queues)
    assert len(steps) == 60
    times = [step.start_time.ToDatetime(tzinfo=UTC) for step in steps]
    assert all(time.second == 0 for time in times)
    assert times[-1] - times[0] == timedelta(minutes=59)
    now: datetime = await sql.fetchval("SELECT now()")
    assert timedelta(minutes=1) <= now - times[-1] < timedelta(minutes=3)
    assert {step.duration.seconds for step in steps} == {60}
    assert not any(step.HasField("wait") or step.created_count for step in steps)


async def test_steps_have_what_their_minutes_have(
    queues: QueueServiceStub, old_queue: str, sql: asyncpg.Connection
) -> None:
    bucket_of_2_seconds = [*[0] * 27, 100]
    await row(sql, 7, created=3, completed=2, failed=[0, 0, 0, 1], ready=4)
    await row(sql, 6, created=1, retried=5, failed=[0, 0, 0, 1], processing=6)
    await row(sql, 6 * 60, created=1000)
    for step in (600, 3600):
        (found,) = [step for step in await history(queues, 3600, step) if step.created_count]
        assert (found.created_count, found.completed_count, found.retried_count) == (4, 2, 5)
        assert (found.failed_count, dict(found.failed_counts)) == (2, {"INVALID_ARGUMENT": 2})
        assert (found.ready_count, found.processing_count) == (4, 6)
    await row(sql, 3, wait=bucket_of_2_seconds)
    (found,) = [step for step in await history(queues, 3600, 3600) if step.HasField("wait")]
    assert not found.HasField("run")
    assert found.wait.count == 100
    assert found.wait.p50.ToTimedelta() < found.wait.p99.ToTimedelta() <= timedelta(seconds=3)


@pytest.mark.parametrize(
    ("window", "step", "count"),
    [(86_400, 0, 1440), (60, 0, 1), (0, 300, 12), (0, 7200, 1), (0, 2520, 1), (86_400, 86_400, 1)],
)
async def test_window_and_step_may_be_chosen(
    queues: QueueServiceStub, old_queue: str, window: int, step: int, count: int
) -> None:
    assert len(await history(queues, window, step)) == count


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"window": Duration(seconds=86_460)}, "window"),
        ({"window": Duration(seconds=30)}, "window"),
        ({"window": Duration(seconds=90)}, "window"),
        ({"window": Duration(seconds=420), "step": Duration(seconds=120)}, "window"),
        ({"window": Duration(seconds=60), "step": Duration(seconds=120)}, "window"),
        ({"step": Duration(seconds=61)}, "step"),
        ({"step": Duration()}, "step"),
        ({"step": Duration(seconds=60, nanos=1)}, "step"),
        ({"queue": "A"}, "queue"),
    ],
)
async def test_bad_request_names_its_field(
    queues: QueueServiceStub, old_queue: str, fields: dict[str, Any], field: str
) -> None:
    request = pb.GetQueueHistoryRequest(**{"queue": "q", **fields})
    error = await refused(queues.GetQueueHistory(request))
    assert (error.code, error.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])


async def test_unknown_queue_is_refused(queues: QueueServiceStub) -> None:
    error = await refused(queues.GetQueueHistory(pb.GetQueueHistoryRequest(queue="unknown")))
    assert error.what == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")


async def test_recent_minutes_are_in_the_statistics(
    queues: QueueServiceStub, old_queue: str, sql: asyncpg.Connection
) -> None:
    await row(sql, 5, created=3, failed=[1])
    await row(sql, 3, created=2)
    await row(sql, 20, created=100)
    (stats,) = (await queues.GetQueueStats(pb.GetQueueStatsRequest())).stats
    assert not stats.HasField("recent")
    (stats,) = (await queues.GetQueueStats(pb.GetQueueStatsRequest(with_recent=True))).stats
    assert stats.recent.duration.seconds == 300
    # The first of them may have left the window meanwhile.
    assert (stats.recent.created_count, stats.recent.failed_count) in ((5, 1), (2, 0))


async def test_what_becomes_of_jobs_is_written_by_the_end_of_a_replica(
    start_replica: StartReplica, sql: asyncpg.Connection
) -> None:
    async with (
        start_replica() as running,
        aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        jobs, workers = JobServiceStub(channel), WorkerServiceStub(channel)
        await QueueServiceStub(channel).CreateQueue(pb.CreateQueueRequest(queue=pb.Queue(name="q")))
        for _ in range(5):
            request = CreateJobRequest(spec=JobSpec(queue="q"))
            last = (await jobs.CreateJob(request)).job.id
        leased = await lease_all(workers, max_jobs=3)
        outcomes = [success, partial(failure, retry_delay=3600), partial(failure, retryable=False)]
        await report(workers, *(end(lease) for end, lease in zip(outcomes, leased, strict=True)))
        await jobs.CancelJob(CancelJobRequest(job_id=last))
    found = await sql.fetchrow(
        """
        SELECT sum(created), sum(completed), sum(retried), sum(cancelled),
            sum((SELECT sum(n) FROM unnest(failed) AS n)),
            sum((SELECT sum(n) FROM unnest(wait) AS n)),
            sum((SELECT sum(n) FROM unnest(run) AS n))
        FROM queue_minute WHERE queue = 'q'
        """
    )
    assert found is not None
    assert [int(count) for count in found] == [5, 1, 1, 1, 1, 3, 3]


async def test_counts_of_two_replicas_are_one_history(
    start_replica: StartReplica, sql: asyncpg.Connection
) -> None:
    for _ in range(2):
        async with (
            start_replica() as running,
            aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
        ):
            change = pb.UpdateQueueRequest(queue=pb.Queue(name="q"), allow_missing=True)
            await QueueServiceStub(channel).UpdateQueue(change)
            for _ in range(3):
                await JobServiceStub(channel).CreateJob(CreateJobRequest(spec=JobSpec(queue="q")))
    await sql.execute("UPDATE queue_minute SET minute = minute - interval '2 minutes'")
    await sql.execute("UPDATE queue SET create_time = now() - interval '1 hour'")
    async with (
        start_replica() as running,
        aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
    ):
        queues = QueueServiceStub(channel)
        assert sum(step.created_count for step in await history(queues)) == 6
        request = pb.GetQueueStatsRequest(queues=["q"], with_recent=True)
        (stats,) = (await queues.GetQueueStats(request)).stats
        assert stats.recent.created_count == 6
