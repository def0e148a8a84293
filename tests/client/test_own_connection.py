"""A connection that reaches itself: what is sent comes back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import grpc
import pytest

from jobsvc.client import Unavailable
from jobsvc.v1.worker_service_pb2 import Subscribe
from jobsvc.worker.work_stream import StreamFailed, WorkStream
from tests.client.support.messages import JOB_ID

REASON = "nobody listens there: the system gave that very port to the connection"


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """The address of what sends everything back, as such a connection does."""

    async def send_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(send_back, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


async def test_client_notices(connect_to: Any, echo: str) -> None:
    client = await connect_to(echo)
    with pytest.raises(Unavailable, match=f"^UNAVAILABLE: {echo}: {REASON}"):
        await client.get(JOB_ID)


async def test_worker_notices(echo: str) -> None:
    stream = WorkStream(echo)
    with pytest.raises(StreamFailed) as failed:
        await stream.open(Subscribe())
    await stream.close()
    assert failed.value.end.code is grpc.StatusCode.UNAVAILABLE
    assert failed.value.end.describe(echo).startswith(f"{echo} is not available: {REASON}")
