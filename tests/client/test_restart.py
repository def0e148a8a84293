"""A call made while the server is away."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from jobsvc.client import AsyncClient, Client
from jobsvc.v1 import job_service_pb2
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Peer


async def call_async(target: str) -> str:
    async with AsyncClient(target) as client:
        return (await client.create("news")).id


async def call_sync(target: str) -> str:
    with Client(target) as client:
        return (await asyncio.to_thread(client.create, "news")).id


@pytest.mark.parametrize("create", [call_async, call_sync])
async def test_a_call_outlives_a_restart(
    create: Callable[[str], Any], serve: Callable[[Peer, int], None]
) -> None:
    peer = Peer()
    peer.answer("CreateJob", job_service_pb2.CreateJobResponse(job=job()))
    refused = asyncio.Event()

    def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        refused.set()

    gate = await asyncio.start_server(refuse, "127.0.0.1", 0, family=socket.AF_INET)
    port = gate.sockets[0].getsockname()[1]
    async with asyncio.TaskGroup() as tasks:
        created = tasks.create_task(create(f"127.0.0.1:{port}"))
        await refused.wait()
        gate.close()
        await gate.wait_closed()
        serve(peer, port)
    assert created.result() == JOB_ID
    assert len(peer.calls) == 1
