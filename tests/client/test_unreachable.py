"""A server that does not answer is named, and so is a client that was not opened."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from grpc import aio
from typer.testing import CliRunner

from jobsvc.cli import app
from jobsvc.client import AsyncClient, CallFailed, Client, DeadlineExceeded, Unavailable
from tests.client.support.messages import JOB_ID
from tests.client.support.peer import Peer
from tests.client.support.threaded import Threaded

Open = Callable[..., Any]


@pytest.fixture
def dead() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_server_that_is_away_is_named(dead: str, name: str) -> None:
    target = dead.replace("127.0.0.1", name)
    async with AsyncClient(target, timeout=0.2) as client:
        with pytest.raises(DeadlineExceeded, match=f"no answer from {target} in time"):
            await client.get(JOB_ID)
    with (
        Client(target, timeout=0.2) as client_that_blocks,
        pytest.raises(DeadlineExceeded, match=f"no answer from {target} in time"),
    ):
        await Threaded(client_that_blocks).get(JOB_ID)


async def test_stream_names_a_server_that_is_away(dead: str) -> None:
    target = dead.replace("127.0.0.1", "localhost")
    async with AsyncClient(target, timeout=0.2) as client:
        with pytest.raises(Unavailable, match=f"^UNAVAILABLE: {target}: "):
            async for _ in client.follow([JOB_ID], reconnect_seconds=0):
                pass


async def test_client_that_is_not_open_says_so(peer: Peer) -> None:
    client = AsyncClient(peer.target)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="call it within `async with`"):
            await client.get(JOB_ID)
        with pytest.raises(RuntimeError, match="call it within `async with`"):
            async for _ in client.follow([JOB_ID]):
                pass
        async with client:
            pass


def test_port_that_does_not_exist_is_refused() -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="the port must be at most 65535"):
            kind("127.0.0.1:70000")
    for command in ("get x", "health"):
        result = CliRunner().invoke(app, ["--target", "127.0.0.1:70000", *command.split()])
        assert result.exit_code == 2
        assert "the port must be at most" in result.stderr


async def test_channel_that_is_given_has_no_name(dead: str) -> None:
    async with (
        aio.insecure_channel(dead) as channel,
        AsyncClient(channel=channel, timeout=0.2) as client,
    ):
        with pytest.raises(CallFailed) as caught:
            await client.get(JOB_ID)
    assert "50051" not in f"{caught.value}"
