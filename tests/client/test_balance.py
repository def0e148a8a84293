"""Streams spread over the servers again, after all of them went to the one that was there."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from jobsvc.v1 import job_pb2
from tests.client.support.messages import JOB_ID, update
from tests.client.support.peer import HANG, Peer
from tests.support.probe import eventually

CLIENTS = 6
PENDING, COMPLETED = job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_COMPLETED


async def test_streams_find_the_server_that_came_back_later(
    connect_to: Any, serve: Callable[[Peer, int], int]
) -> None:
    first, second = Peer(), Peer()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        later = free.getsockname()[1]
    target = f"ipv4:127.0.0.1:{serve(first, 0)},127.0.0.1:{later}"
    for peer in (first, second):
        peer.answer("StreamJobStatus", [update(PENDING, 1), HANG])
    clients = [await connect_to(target, stream_age_seconds=0.3) for _ in range(CLIENTS)]
    states: list[str] = []

    async def follow(client: Any) -> None:
        async for each in client.follow([JOB_ID]):
            states.append(each.status.state)

    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(follow(client))
        await eventually(lambda: len(states), lambda count: count == CLIENTS)
        serve(second, later)
        await eventually(lambda: len(second.calls), lambda count: count >= CLIENTS)
        for peer in (first, second):
            peer.answer("StreamJobStatus", [update(COMPLETED, 2)])
    assert sorted(states) == ["COMPLETED"] * CLIENTS + ["PENDING"] * CLIENTS
