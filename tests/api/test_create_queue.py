"""CreateQueue."""

import asyncio
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.fixtures import Tables
from tests.api.support.full_queue import EVERYTHING
from tests.api.support.refusal import refused


async def _create(queues: QueueServiceStub, **fields: Any) -> pb.Queue:
    queue = pb.Queue(**({"name": "q"} | fields))
    return (await queues.CreateQueue(pb.CreateQueueRequest(queue=queue))).queue


async def test_queue_is_what_it_was_created_as(queues: QueueServiceStub) -> None:
    created = await _create(queues, **EVERYTHING)
    assert created == (await queues.GetQueue(pb.GetQueueRequest(name="q"))).queue
    assert created.state == pb.QUEUE_STATE_ACTIVE
    for name, value in EVERYTHING.items():
        assert getattr(created, name) == value, name


async def test_queue_that_exists_is_left_alone(queues: QueueServiceStub, tables: Tables) -> None:
    await _create(queues)
    before = await tables()
    refusal = await refused(_create(queues, retention=Duration(seconds=9)))
    assert refusal.what == (grpc.StatusCode.ALREADY_EXISTS, "QUEUE_EXISTS")
    assert refusal.details["ResourceInfo"].resource_name == "q"
    assert await tables() == before


async def test_of_creations_at_once_one_wins(queues: QueueServiceStub) -> None:
    calls = (_create(queues, retention=Duration(seconds=1 + n)) for n in range(20))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    (winner,) = [answer for answer in answers if isinstance(answer, pb.Queue)]
    losers = [a for a in answers if isinstance(a, aio.AioRpcError)]
    assert {loser.code() for loser in losers} == {grpc.StatusCode.ALREADY_EXISTS}
    assert len(losers) == 19
    assert (await queues.GetQueue(pb.GetQueueRequest(name="q"))).queue == winner


async def test_malformed_queue_is_refused_with_every_defect(
    queues: QueueServiceStub, tables: Tables
) -> None:
    refusal = await refused(_create(queues, name="Q", max_waiting=-1))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    fields = [v.field for v in refusal.details["BadRequest"].field_violations]
    assert sorted(fields) == ["queue.max_waiting", "queue.name"]
    assert not (await tables())["queue"]
