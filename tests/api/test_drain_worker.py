"""DrainWorker."""

from typing import Any

import asyncpg
import grpc
from grpc import aio

from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, lease_all, success
from tests.api.support.worker_stream import answered, work
from tests.support.probe import eventually


async def _seen(queues: QueueServiceStub, worker_id: str = "w1") -> pb.Worker:
    """The worker, once a replica has saved that it is there."""

    async def listed() -> list[pb.Worker]:
        found = (await queues.ListWorkers(pb.ListWorkersRequest())).workers
        return [worker for worker in found if worker.info.worker_id == worker_id]

    return (await eventually(listed))[0]


async def _drain(queues: QueueServiceStub, worker_id: str = "w1", **fields: Any) -> None:
    await queues.DrainWorker(pb.DrainWorkerRequest(worker_id=worker_id, **fields))


async def test_drained_worker_finishes_what_it_holds_and_gets_no_more(
    queues: QueueServiceStub, create: Create, channel: aio.Channel, workers: WorkerServiceStub
) -> None:
    async with work(channel, window=5) as worker:
        held = await create()
        (lease,) = await worker.dispatched()
        worker_id = (await eventually(lambda: _any(queues))).info.worker_id
        await _drain(queues, worker_id, reason="host goes away")
        assert (await worker.frame("retire")).reason == "host goes away"
        await worker.set_window(9)
        waiting = await create()
        await answered(worker)
        assert await worker.report(success(lease)) == [OK]
        await answered(worker)
        assert lease.job_id == held.id
        (other,) = await lease_all(workers, worker_id="other")
        assert other.job_id == waiting.id
        shown = await _seen(queues, worker_id)
        assert shown.HasField("drain_time")
        await eventually(lambda: _seen(queues, worker_id), lambda seen: seen.window == 0)
        await worker.leave()


async def _any(queues: QueueServiceStub) -> pb.Worker | None:
    found = (await queues.ListWorkers(pb.ListWorkersRequest())).workers
    return found[0] if found else None


async def test_drained_worker_stays_so_on_another_replica(
    queues: QueueServiceStub, create: Create, channel: aio.Channel, start_replica: Any
) -> None:
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as elsewhere,
    ):
        async with work(elsewhere, window=5) as worker:
            token = worker.token
            worker_id = (await eventually(lambda: _any(queues))).info.worker_id
            await _drain(queues, worker_id)
            await worker.frame("retire")
            await worker.leave()
        await create()
        async with work(channel, window=5, resume_token=token) as again:
            await again.frame("retire")
            await answered(again)


async def test_drained_worker_gets_nothing_by_unary_calls(
    queues: QueueServiceStub, create: Create, workers: WorkerServiceStub
) -> None:
    await create()
    assert await lease_all(workers, worker_id="caller", max_jobs=1)
    await _seen(queues, "caller")
    await _drain(queues, "caller")
    await create()
    assert await lease_all(workers, worker_id="caller") == []
    assert await lease_all(workers, worker_id="caller", wait={"nanos": 100_000_000}) == []
    assert len(await lease_all(workers, worker_id="another")) == 1


async def test_draining_again_changes_nothing(
    queues: QueueServiceStub, queue: str, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await lease_all(workers, worker_id="caller")
    await _seen(queues, "caller")
    await _drain(queues, "caller", reason="a")
    first = await sql.fetch("SELECT * FROM drained_worker")
    await _drain(queues, "caller", reason="b")
    assert await sql.fetch("SELECT * FROM drained_worker") == first


async def test_drained_workers_of_long_ago_are_forgotten(
    queues: QueueServiceStub, queue: str, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    await lease_all(workers, worker_id="caller")
    await _seen(queues, "caller")
    await sql.execute(
        "INSERT INTO drained_worker VALUES ('gone', '', now() - interval '61 min'),"
        " ('gone lately', '', now())"
    )
    await _drain(queues, "caller")
    rows = await sql.fetch("SELECT worker_id FROM drained_worker ORDER BY 1")
    assert [row[0] for row in rows] == ["caller", "gone lately"]


async def test_worker_that_nobody_has_seen_is_not_found(
    queues: QueueServiceStub, tables: Tables, sql: asyncpg.Connection
) -> None:
    refusal = await refused(_drain(queues, "nobody"))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "WORKER_NOT_FOUND")
    assert refusal.details["ResourceInfo"].resource_name == "nobody"
    for worker_id in ("", "x" * 129):
        refusal = await refused(_drain(queues, worker_id))
        assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert not await sql.fetch("SELECT FROM drained_worker")
