"""The number of queues is limited, whichever call names them."""

from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc import aio

from jobsvc.v1.queue_service_pb2 import Queue, UpdateQueueRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.fixtures import Tables
from tests.api.support.refusal import Refusal, refused
from tests.api.support.worker_stream import open_stream, subscribe, work
from tests.support.settings import TEST_SETTINGS

pytestmark = pytest.mark.parametrize("settings", [replace(TEST_SETTINGS, max_queues=2)])


def _update(queues: QueueServiceStub, name: str) -> Any:
    return queues.UpdateQueue(UpdateQueueRequest(queue=Queue(name=name), allow_missing=True))


def _check(seen: Refusal) -> None:
    assert seen.what == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_LIMIT")
    (violation,) = seen.details["QuotaFailure"].violations
    assert violation.subject == "queues"
    assert "RetryInfo" not in seen.details, "another try meets the same limit"


async def test_update_declares_no_queue_beyond_the_limit(
    queues: QueueServiceStub, tables: Tables
) -> None:
    for name in ("a", "b"):
        await _update(queues, name)
    before = await tables()
    _check(await refused(_update(queues, "c")))
    assert await tables() == before
    await _update(queues, "a")


async def test_worker_declares_no_queue_beyond_the_limit(
    queues: QueueServiceStub, channel: aio.Channel, tables: Tables
) -> None:
    await _update(queues, "a")
    before = await tables()
    async with open_stream(channel) as stream:
        await stream.send(subscribe=subscribe(queues=("a", "b", "c")))
        _check(await stream.refusal())
    assert await tables() == before
    async with work(channel, queues=("a", "b")) as served:
        await served.leave()
