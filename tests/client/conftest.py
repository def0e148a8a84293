"""A scripted server, and clients of either kind that call it."""

from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from jobsvc.cli import app
from jobsvc.client import AsyncClient, Client
from tests.client.support.command import Run
from tests.client.support.peer import Peer
from tests.client.support.threaded import Threaded


@pytest.fixture
def serve() -> Iterator[Callable[[Peer, int], int]]:
    """Puts a peer on a port (0: any), and returns the port."""
    servers: list[grpc.Server] = []

    def serve(peer: Peer, port: int) -> int:
        server = grpc.server(
            ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)]
        )
        server.add_generic_rpc_handlers((peer,))
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        servers.append(server)
        return bound

    yield serve
    for server in servers:
        server.stop(0).wait()


@pytest.fixture
def peer(serve: Callable[[Peer, int], int]) -> Peer:
    """A peer on a port of its own."""
    peer = Peer()
    peer.target = f"127.0.0.1:{serve(peer, 0)}"
    return peer


@pytest.fixture(params=["async", "sync"])
async def connect_to(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Makes clients of either kind, with any target and options, and closes them."""
    async with AsyncExitStack() as stack:

        async def connect(target: str, **options: Any) -> Any:
            if request.param == "async":
                return await stack.enter_async_context(AsyncClient(target, **options))
            return Threaded(stack.enter_context(Client(target, **options)))

        yield connect


@pytest.fixture
def connect(connect_to: Any, peer: Peer) -> Any:
    """Makes clients of either kind, of the peer."""
    return partial(connect_to, peer.target)


@pytest.fixture
async def client(connect: Any) -> Any:
    """A client of either kind."""
    return await connect()


@pytest.fixture
def run(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command against the peer."""
    monkeypatch.setenv("JOBSVC_TARGET", peer.target)
    monkeypatch.delenv("JOBSVC_TRACE_DIR", raising=False)

    def run(*words: str, stdin: str = "") -> Result:
        return CliRunner().invoke(app, words, input=stdin)

    return run
