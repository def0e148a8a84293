"""More connections than open files allow: those that are there are served, others told so."""

import asyncio
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import grpc
import pytest
from grpc import aio

from jobsvc.api.connections import Connections, most_connections
from jobsvc.app import Replica
from jobsvc.domain.errors import RateLimited
from jobsvc.settings import Settings
from jobsvc.v1.queue_service_pb2 import ListQueuesRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.peer import peer
from tests.api.support.refusal import refused
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS

_EXHAUSTED = (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]


@pytest.fixture
def settings() -> Settings:
    """Two of sixteen are kept for refusals, none for others than the first."""
    return replace(TEST_SETTINGS, max_connections=16, reserved_percent=0)


@asynccontextmanager
async def _connected(port: int, count: int) -> AsyncIterator[list[QueueServiceStub]]:
    """Stubs with a connection each."""
    async with AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(aio.insecure_channel(f"127.0.0.1:{port}", _OPTIONS))
            for _ in range(count)
        ]
        for channel in channels:
            await channel.channel_ready()
        yield [QueueServiceStub(channel) for channel in channels]


async def _is_served(queues: QueueServiceStub) -> bool:
    return await queues.ListQueues(ListQueuesRequest()).code() is grpc.StatusCode.OK


async def test_first_ones_are_served_and_others_refused_in_words(
    server: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    async with _connected(server.port, 14) as first:
        assert [await _is_served(queues) for queues in first] == [True] * 14
        await eventually(lambda: "more are refused" in caplog.text)
        async with _connected(server.port, 2) as others:
            for queues in others:
                refusal = await refused(queues.ListQueues(ListQueuesRequest()))
                assert refusal.what == _EXHAUSTED
                assert "14 connections" in refusal.message
                assert refusal.details["RetryInfo"].retry_delay.seconds == 1
            # Even for a refusal there is no room.
            async with aio.insecure_channel(f"127.0.0.1:{server.port}", _OPTIONS) as one_too_many:
                call = QueueServiceStub(one_too_many).ListQueues(ListQueuesRequest(), timeout=10)
                assert await call.code() is grpc.StatusCode.UNAVAILABLE
            assert [await _is_served(queues) for queues in first] == [True] * 14
    assert caplog.text.count("more are refused") == 1


async def test_who_was_refused_is_served_when_others_have_left(
    server: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        async with _connected(server.port, 14):
            await eventually(lambda: "more are refused" in caplog.text)
            (late,) = await stack.enter_async_context(_connected(server.port, 1))
            assert not await _is_served(late)
        await eventually(lambda: _is_served(late))


@pytest.mark.parametrize(
    "peer", ["ipv4:10.0.0.1:7", "ipv6:%5B::ffff:10.0.0.1%5D:7", "ipv6:%5Bfe80::1%25eth0%5D:7"]
)
def test_connection_is_known_however_it_is_spelled(peer: str) -> None:
    connections = Connections(2, 0)
    connections.update({("10.0.0.1", 7), ("fe80::1", 7)})
    assert connections.full
    connections.check(peer)
    for other in ("ipv4:10.0.0.1:8", "ipv6:%5B::1%5D:7", "unix:", "unix:/a:7", "nonsense"):
        with pytest.raises(RateLimited):
            connections.check(other)


@pytest.mark.parametrize(
    "settings", [replace(TEST_SETTINGS, max_connections=16, reserved_percent=20)]
)
async def test_connections_of_one_address_leave_a_share_to_others(
    server: Replica, caplog: pytest.LogCaptureFixture
) -> None:
    async with _connected(server.port, 12) as first:
        await eventually(lambda: "more are refused" in caplog.text)
        async with AsyncExitStack() as stack:
            beyond = await stack.enter_async_context(_connected(server.port, 1))
            refusal = await refused(beyond[0].ListQueues(ListQueuesRequest()))
            assert refusal.what == _EXHAUSTED
            assert "you have 12 connections, your share of the server's 14" in refusal.message
            (violation,) = refusal.details["QuotaFailure"].violations
            assert violation.subject == "your share of connections"
            # Of those without a call some are cut, so that gRPC has room for others.
            idle = []
            for _ in range(8):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                stack.callback(writer.close)
                idle.append(asyncio.ensure_future(reader.read()))
            await eventually(lambda: sum(reading.done() for reading in idle) >= 7)
            another = await stack.enter_async_context(peer(server, "127.0.0.2"))
            assert await _is_served(QueueServiceStub(another))
        assert [await _is_served(queues) for queues in first] == [True] * 12


def test_share_is_given_back() -> None:
    connections = Connections(80, 20)  # 70, of which 14 are kept; a share is 1
    connections.update(("a", port) for port in range(60))
    connections.check("ipv4:192.0.2.1:7")
    with pytest.raises(RateLimited, match="your share"):
        connections.check("ipv4:192.0.2.1:8")
    connections.update(("a", port) for port in range(55))
    connections.check("ipv4:192.0.2.1:8")


def test_refused_ones_are_cut_beyond_a_share_of_their_room() -> None:
    connections = Connections(80, 20)  # 70, and room for 10 refused ones, of which 2 are kept
    cut = connections.update(("a", port) for port in range(80))
    assert len(cut) == 80 - 56 - 8
    assert connections.update([*(("a", port) for port in range(70)), ("b", 1)]) <= cut
    assert not connections.update([("a", port) for port in range(64)])


def test_files_are_kept_back() -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most_connections() == files - 64


def test_server_asks_for_all_the_files_it_may_have() -> None:
    code = """
import resource
from jobsvc.cli.startup import raise_file_limit
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (50, most))
raise_file_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
