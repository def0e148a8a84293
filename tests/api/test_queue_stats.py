"""GetQueueStats: what waits, what runs, and who works on it."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refused
from tests.api.support.worker import failure, lease_all, report, success
from tests.api.support.worker_stream import work
from tests.support.probe import eventually


async def _stats(queues: QueueServiceStub, *names: str) -> list[pb.QueueStats]:
    return list((await queues.GetQueueStats(pb.GetQueueStatsRequest(queues=names))).stats)


async def test_jobs_are_counted_by_what_they_wait_for(
    create: Create, queues: QueueServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await create(schedule_time={"seconds": 4_000_000_000})
    for _ in range(6):
        await create()
    done, retried, *_ = await lease_all(workers, max_jobs=3)
    await report(workers, success(done), failure(retried, retry_delay=3600))
    await sql.execute(
        "UPDATE waiting SET run_at = now() - interval '1 hour' WHERE job_id = "
        "(SELECT job_id FROM waiting WHERE run_at < now() ORDER BY job_id LIMIT 1)"
    )
    (stats,) = await _stats(queues, "q")
    counts = (stats.scheduled_count, stats.ready_count, stats.processing_count)
    assert counts == (2, 3, 1)
    assert stats.oldest_ready_age.seconds == pytest.approx(3600, abs=60)
    assert stats.state == pb.QUEUE_STATE_ACTIVE


async def test_empty_queue_has_zeroes(queues: QueueServiceStub, queue: str) -> None:
    assert await _stats(queues, queue) == [pb.QueueStats(queue=queue, state=pb.QUEUE_STATE_ACTIVE)]


async def test_paused_queue_says_so(
    queues: QueueServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await sql.execute("UPDATE queue SET paused = true")
    (stats,) = await _stats(queues, queue)
    assert stats.state == pb.QUEUE_STATE_PAUSED


async def test_no_names_mean_all_queues_by_name(
    queues: QueueServiceStub, declare: Callable[..., Awaitable[Any]]
) -> None:
    for name in ("b", "a", "c"):
        await declare(name)
    assert [stats.queue for stats in await _stats(queues)] == ["a", "b", "c"]
    assert {stats.queue for stats in await _stats(queues, "c", "a")} == {"a", "c"}


async def test_workers_and_their_open_window_are_counted(
    create: Create, queues: QueueServiceStub, channel: aio.Channel
) -> None:
    await create()
    async with (
        work(channel, window=5, worker_id="w1", queues=("q", "other")) as one,
        work(channel, window=0, worker_id="w2") as two,
    ):
        await one.dispatched()

        async def seen() -> list[tuple[str, int, int]]:
            stats = await _stats(queues, "other", "q")
            return [(s.queue, s.worker_count, s.open_window) for s in stats]

        await eventually(seen, lambda told: told == [("other", 1, 4), ("q", 2, 4)])
        await two.leave()
        await eventually(seen, lambda told: told == [("other", 1, 4), ("q", 1, 4)])


async def test_unknown_queue_is_not_found(queues: QueueServiceStub, queue: str) -> None:
    refusal = await refused(_stats(queues, queue, "nowhere"))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
    assert refusal.metadata == {"queue": "nowhere"}


@pytest.mark.parametrize(
    ("names", "path"), [(["q"] * 1001, "queues"), (["q", "Q"], "queues[1]"), ([""], "queues[0]")]
)
async def test_broken_rule_is_refused_by_its_path(
    queues: QueueServiceStub, names: list[str], path: str
) -> None:
    refusal = await refused(_stats(queues, *names))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == [path]
