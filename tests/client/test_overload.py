"""A server that has no room for a call just now."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from jobsvc.app import Replica
from jobsvc.client import AsyncClient, Client, NewJob, Overloaded
from jobsvc.v1 import job_service_pb2
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Failure, Peer
from tests.client.support.threaded import Threaded
from tests.support.settings import TEST_SETTINGS


def _full(seconds: float | None) -> Failure:
    delay = None if seconds is None else Duration(nanos=int(seconds * 1e9))
    details = () if delay is None else (RetryInfo(retry_delay=delay),)
    return Failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "RATE_LIMITED", details=details)


async def test_call_is_made_again_as_the_server_asks(connect: Any, peer: Peer) -> None:
    client = await connect()
    created = job_service_pb2.CreateJobResponse(job=job())
    peer.answer("CreateJob", *[_full(0.3)] * 3, created)
    began = asyncio.get_running_loop().time()
    assert (await client.create("news")).id == JOB_ID
    assert asyncio.get_running_loop().time() - began >= 3 * 0.3
    first, *others = peer.requests("CreateJob")
    assert others == [first] * 3
    left = [call.seconds_left for call in peer.calls]
    assert left == sorted(left, reverse=True)
    assert left[-1] < 10 - 3 * 0.3


async def test_deadline_ends_the_repetition(connect: Any, peer: Peer) -> None:
    client = await connect(timeout=2.0)
    peer.answer("GetJob", _full(0.6))
    with pytest.raises(Overloaded):
        await client.get(JOB_ID)
    assert 2 <= len(peer.calls) <= 4


async def test_limit_that_does_not_pass_is_told_at_once(connect: Any, peer: Peer) -> None:
    client = await connect()
    peer.answer("GetJob", _full(None))
    with pytest.raises(Overloaded):
        await client.get(JOB_ID)
    assert len(peer.calls) == 1


_KIB = 1024


@pytest.fixture(params=["async", "sync"])
async def real_client(request: pytest.FixtureRequest, server: Replica) -> AsyncIterator[Any]:
    """A client of either kind, of a real server."""
    target = f"127.0.0.1:{server.port}"
    if request.param == "async":
        async with AsyncClient(target, timeout=30) as client:
            yield client
    else:
        with Client(target, timeout=30) as blocking:
            yield Threaded(blocking)


@pytest.mark.parametrize(
    "settings",
    [replace(TEST_SETTINGS, max_message_bytes=512 * _KIB, max_bytes_in_progress=8 * 512 * _KIB)],
)
async def test_large_batches_that_have_no_room_at_once_are_all_created(
    real_client: Any, server: Replica, sql: asyncpg.Connection
) -> None:
    await real_client.declare_queue("q")
    large = {"a": "x" * 240 * _KIB}

    async def create() -> int:
        return len(await real_client.create_many([NewJob("q", large)] * 2))

    async with sql.transaction():
        await sql.execute("LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
        # Four have room at a time.
        creating = [asyncio.ensure_future(create()) for _ in range(12)]
        # Longer than the server lets them wait for room.
        await asyncio.wait(creating, timeout=2.0)
    assert await asyncio.gather(*creating) == [2] * 12
