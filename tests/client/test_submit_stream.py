"""Creations share a stream from the second on, as long as the server and what is in between carry
it."""

import asyncio
from typing import Any

import grpc
import pytest

from jobsvc.client import AsyncClient, Client
from jobsvc.v1 import job_service_pb2 as pb
from tests.client.support.messages import job
from tests.client.support.peer import HANG, Failure, Peer
from tests.support.probe import eventually

_REPLY = pb.CreateJobResponse(job=job())


@pytest.fixture
def created(peer: Peer) -> Peer:
    peer.answer("CreateJob", _REPLY)
    return peer


def _methods(peer: Peer) -> list[str]:
    return [call.method for call in peer.calls]


async def test_lone_creation_is_a_call_of_its_own(created: Peer, connect: Any) -> None:
    client = await connect()
    await client.create("q")
    assert _methods(created) == ["CreateJob"]


async def test_server_without_the_stream_is_asked_once(created: Peer, connect: Any) -> None:
    client = await connect()
    for _ in range(4):
        await client.create("q")
    assert _methods(created) == ["CreateJob", "Submit", "CreateJob", "CreateJob", "CreateJob"]


async def test_proxy_that_bounds_what_is_sent_ends_its_use(created: Peer, connect: Any) -> None:
    status = "Received http2 header with status: 413"
    created.answer("Submit", [Failure(grpc.StatusCode.UNKNOWN, status, bare=True)])
    client = await connect()
    for _ in range(4):
        await client.create("q")
    assert _methods(created) == ["CreateJob", "Submit", "CreateJob", "CreateJob", "CreateJob"]


async def test_creation_on_a_stream_that_broke_is_made_again_under_its_request_id(
    created: Peer, connect: Any
) -> None:
    created.answer("Submit", [Failure(grpc.StatusCode.UNAVAILABLE, bare=True)])
    client = await connect()
    for _ in range(3):
        await client.create("q")
    # The next one tries the stream again.
    assert _methods(created) == ["CreateJob", "Submit", "CreateJob", "Submit", "CreateJob"]
    ids = [request.request_id for request in created.requests("CreateJob")]
    assert len(set(ids)) == 3


async def test_preview_is_a_call_of_its_own(created: Peer, connect: Any) -> None:
    client = await connect()
    await client.create("q")
    await client.create("q", validate_only=True)
    assert _methods(created) == ["CreateJob", "CreateJob"]


async def test_large_job_is_a_call_of_its_own(created: Peer, connect: Any) -> None:
    client = await connect()
    await client.create("q")
    await client.create("q", {"text": 600_000 * "x"})
    assert _methods(created) == ["CreateJob", "CreateJob"]


async def test_variable_turns_the_stream_off(
    created: Peer, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBSVC_CLIENT_SUBMIT", "off")
    client = await connect()
    for _ in range(2):
        await client.create("q")
    assert _methods(created) == ["CreateJob", "CreateJob"]


async def test_silent_server_costs_the_deadline_of_one_call(created: Peer, connect: Any) -> None:
    created.answer("Submit", [HANG])
    client = await connect(timeout=0.5)
    await client.create("q")
    failure = await _failure(client.create("q"))
    assert failure.code == "DEADLINE_EXCEEDED"
    assert created.target in str(failure)


async def test_asyncio_client_that_is_closed_cancels_what_it_has_begun(created: Peer) -> None:
    created.answer("Submit", [HANG])
    async with AsyncClient(created.target) as client:
        await client.create("q")
        creation = asyncio.create_task(client.create("q"))
        await eventually(lambda: "Submit" in _methods(created))
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(creation, 5)
    assert _methods(created) == ["CreateJob", "Submit"]


async def test_blocking_client_that_is_closed_fails_what_it_has_begun(created: Peer) -> None:
    created.answer("Submit", [HANG])
    with Client(created.target) as client:
        await asyncio.to_thread(client.create, "q")
        creation = asyncio.create_task(_failure(asyncio.to_thread(client.create, "q")))
        await eventually(lambda: "Submit" in _methods(created))
        await asyncio.to_thread(client.close)
    assert (await asyncio.wait_for(creation, 5)).code == "CANCELLED"


async def _failure(call: Any) -> Any:
    try:
        await call
    except Exception as failure:
        return failure
    return None
