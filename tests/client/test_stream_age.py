"""Long streams go on over another connection when they are old."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jobsvc.app import Replica
from jobsvc.client import AsyncClient, Client, Unavailable
from jobsvc.v1 import job_pb2, job_service_pb2
from jobsvc.worker import Worker, processor
from tests.client.support.messages import JOB_ID, job, update
from tests.client.support.peer import HANG, Peer
from tests.e2e.support.proxy import proxy
from tests.support.probe import eventually

ConnectTo = Callable[..., Awaitable[Any]]

PENDING, COMPLETED = job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_COMPLETED
RUNNING = job_service_pb2.WaitJobResponse(job=job(job_pb2.JOB_STATE_PROCESSING, 2))
DONE = job_service_pb2.WaitJobResponse(job=job(COMPLETED, 3))


def connections(peer: Peer, method: str) -> list[str]:
    """The addresses that calls of a method came from, in their order."""
    return [call.peer for call in peer.calls if call.method == method]


async def test_old_stream_goes_on_over_another_connection(connect: Any, peer: Peer) -> None:
    peer.answer(
        "StreamJobStatus",
        [update(PENDING, 1), HANG],
        [update(PENDING, 1), update(PENDING, 2), HANG],
        [update(PENDING, 2), update(COMPLETED, 3)],
    )
    client = await connect(stream_age_seconds=0.3)
    seen = [each.status.version async for each in client.follow([JOB_ID])]
    assert seen == [1, 2, 3]
    assert len(set(connections(peer, "StreamJobStatus"))) == 3


async def test_young_streams_share_a_connection(connect: Any, peer: Peer) -> None:
    peer.answer("StreamJobStatus", [update(COMPLETED, 1)])
    client = await connect()
    for _ in range(3):
        assert [each.status.version async for each in client.follow([JOB_ID])] == [1]
    assert len(set(connections(peer, "StreamJobStatus"))) == 1


async def test_old_wait_goes_on_over_another_connection(connect: Any, peer: Peer) -> None:
    def late(request: job_service_pb2.WaitJobRequest) -> job_service_pb2.WaitJobResponse:
        time.sleep(request.timeout.ToTimedelta().total_seconds())  # As the server waits.
        return RUNNING

    peer.answer("WaitJob", late, late, DONE)
    client = await connect(stream_age_seconds=0.3)
    assert (await client.wait(JOB_ID)).succeeded
    assert len(set(connections(peer, "WaitJob"))) == 3


async def test_ordinary_calls_keep_their_connection(connect: Any, peer: Peer) -> None:
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    peer.answer("StreamJobStatus", [update(PENDING, 1), HANG], [update(COMPLETED, 2)])
    client = await connect(stream_age_seconds=0.3)
    await client.get(JOB_ID)
    async for _ in client.follow([JOB_ID]):
        await client.get(JOB_ID)
    [ordinary] = set(connections(peer, "GetJob"))
    assert ordinary not in connections(peer, "StreamJobStatus")


@processor("idle")
async def end(_: dict[str, str]) -> None:
    """Ends a job."""


async def test_reopened_stream_repeats_and_loses_nothing(
    connect_to: ConnectTo, server: Replica
) -> None:
    target = f"127.0.0.1:{server.port}"
    client = await connect_to(target, stream_age_seconds=0.05)
    await client.declare_queue("idle")
    job_id = (await client.create("idle")).id
    seen: list[tuple[int, str]] = []

    async def follow() -> None:
        async for each in client.follow([job_id]):
            seen.append((each.status.version, each.status.state))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow())
        await eventually(lambda: seen, what="the first status")
        await asyncio.sleep(0.5)  # The stream is opened again some ten times.
        async with Worker([end], target=target):
            await eventually(lambda: seen[-1][1] == "COMPLETED", what="the end of the job")
    versions = [version for version, _ in seen]
    assert versions == sorted(set(versions))
    assert seen[0][1] == "PENDING"


async def test_server_that_never_answers_is_given_up_at_any_age(
    connect_to: ConnectTo, server: Replica
) -> None:
    async with proxy(server.port) as way:
        way.muted = True
        client = await connect_to(way.target, timeout=0.5, stream_age_seconds=0.1)
        with pytest.raises(Unavailable):
            async for _ in client.follow([JOB_ID]):
                pass


def test_age_must_be_positive() -> None:
    for kind in (AsyncClient, Client):
        with pytest.raises(ValueError, match="stream_age_seconds must be positive, not 0"):
            kind(stream_age_seconds=0)
