"""A queue with `max_waiting` takes no more jobs than may wait in it."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import aio

from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import Refusal, refused
from tests.api.support.worker import lease_all
from tests.api.support.worker_stream import create_many
from tests.support.probe import eventually


@pytest.fixture
async def queue(declare: Any) -> str:
    """A queue in which three jobs may wait."""
    return str((await declare(max_waiting=3)).name)


def _check(seen: Refusal) -> None:
    assert seen.what == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    (violation,) = seen.details["QuotaFailure"].violations
    assert violation.subject == "q"
    assert seen.details["RetryInfo"].retry_delay.seconds == 1
    assert dict(seen.details["ErrorInfo"].metadata) == {"queue": "q", "maxWaiting": "3"}


async def test_creation_beyond_the_limit_writes_nothing(
    create: Create, jobs: JobServiceStub, tables: Tables
) -> None:
    await create_many(jobs, 2)
    before = await tables()
    _check(await refused(create_many(jobs, 2)))
    assert await tables() == before
    await create()
    before = await tables()
    _check(await refused(create()))
    assert await tables() == before


async def test_creations_at_once_do_not_exceed_the_limit(create: Create, tables: Tables) -> None:
    answers = await asyncio.gather(*(create() for _ in range(40)), return_exceptions=True)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 3
    assert len((await tables())["waiting"]) == 3


async def test_creations_under_way_count_although_nothing_is_written_yet(
    create: Create, sql: asyncpg.Connection
) -> None:
    async with sql.transaction():
        await sql.execute("LOCK TABLE job IN SHARE ROW EXCLUSIVE MODE")
        under_way = [asyncio.create_task(create()) for _ in range(3)]
        await eventually(
            lambda: sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"),
            what="a creation that waits",
        )
        for _ in range(3):
            await asyncio.sleep(0.11)  # A count that shows no room is 0.1 s old at most.
            assert (await refused(create())).reason == "QUEUE_FULL"
    await asyncio.gather(*under_way)


async def test_room_that_is_made_is_used(create: Create, workers: WorkerServiceStub) -> None:
    for _ in range(3):
        await create()
    await refused(create())
    await lease_all(workers, max_jobs=1)

    async def created() -> bool:
        try:
            await create()
        except aio.AioRpcError:
            return False
        return True

    await eventually(created, seconds=2)
    _check(await refused(create()))


async def test_repeated_creation_is_answered_where_there_is_no_room(
    create: Create, queue: str
) -> None:
    request_id = str(uuid4())
    first = await create(request_id=request_id)
    for _ in range(2):
        await create()
    assert (await create(request_id=request_id)).id == first.id
    _check(await refused(create(request_id=str(uuid4()))))


async def test_limit_is_lifted(
    queues: QueueServiceStub, create: Create, jobs: JobServiceStub
) -> None:
    _check(await refused(create_many(jobs, 4)))
    request = pb.UpdateQueueRequest(
        queue=pb.Queue(name="q"), update_mask=FieldMask(paths=["max_waiting"])
    )
    assert (await queues.UpdateQueue(request)).queue.max_waiting == 0
    assert len(await create_many(jobs, 4)) == 4


async def test_queue_says_its_limit(queues: QueueServiceStub, queue: str) -> None:
    assert (await queues.GetQueue(pb.GetQueueRequest(name=queue))).queue.max_waiting == 3
