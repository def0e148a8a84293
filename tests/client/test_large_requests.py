"""Inputs and requests beyond the limits of a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.client import AsyncClient, CallFailed, Client, NewJob, PayloadTooLarge
from jobsvc.v1 import job_pb2, job_service_pb2
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Peer
from tests.client.support.threaded import Threaded

#: One above the limit of a payload (256 KiB), one above that of a message (4 MiB), and one that
#: is refused while most of it is still on its way.
_SIZES = [262_145, 4_194_305, 50_000_000]


@pytest.fixture(params=["async", "sync"])
async def real_client(request: pytest.FixtureRequest, server: Replica) -> AsyncIterator[Any]:
    """A client of either kind, of a real server."""
    target = f"127.0.0.1:{server.port}"
    if request.param == "async":
        async with AsyncClient(target) as client:
            await client.declare_queue("q")
            yield client
    else:
        client = Client(target)
        await asyncio.to_thread(client.declare_queue, "q")
        yield Threaded(client)
        client.close()


@pytest.mark.parametrize("size", _SIZES)
async def test_input_over_any_limit_is_too_large(real_client: Any, size: int) -> None:
    large = {"a": "x" * size}
    with pytest.raises(PayloadTooLarge) as alone:
        await real_client.create("q", large)
    assert not alone.value.transient
    with pytest.raises(PayloadTooLarge):
        await real_client.create_many([NewJob("q", large)])


async def test_answer_over_the_limit_of_a_channel_is_neither_overload_nor_a_large_input(
    peer: Peer,
) -> None:
    """A channel of the caller's own, with the limit that gRPC sets by itself."""
    answer = job(job_pb2.JOB_STATE_COMPLETED, output='{"a": "' + "x" * 5_000_000 + '"}')
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=answer))
    async with (
        aio.insecure_channel(peer.target) as channel,
        AsyncClient(channel=channel) as client,
    ):
        with pytest.raises(CallFailed) as failed:
            await client.get(JOB_ID)
    assert type(failed.value) is CallFailed
    assert failed.value.code == "RESOURCE_EXHAUSTED"
