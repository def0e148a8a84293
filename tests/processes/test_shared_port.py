"""The port of several processes is theirs alone, also while none of them listens."""

import socket

import pytest

from jobsvc.api.listen_address import PortTaken, find_free
from jobsvc.processes.shared_port import shared_port

pytestmark = pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="no SO_REUSEPORT")


def listening(port: int) -> socket.socket:
    """One of the processes, as gRPC listens for it."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    found.bind(("127.0.0.1", port))
    found.listen()
    return found


@pytest.mark.parametrize("comes", [0, 1, 2])
async def test_nobody_else_gets_the_port(comes: int) -> None:
    async with shared_port("127.0.0.1:0") as listen:
        port = int(listen.rpartition(":")[2])
        assert port > 0
        processes = [listening(port) for _ in range(comes)]
        with pytest.raises(OSError, match="in use"):
            await find_free(listen)
        with pytest.raises(PortTaken, match=f"cannot listen on {listen}: Address already in use"):
            async with shared_port(listen):
                pass
        # But a process of ours does.
        assert await find_free(listen, shares_port=True) == [listen]
        for process in processes:
            process.close()
        with pytest.raises(PortTaken):
            async with shared_port(listen):
                pass
    async with shared_port(listen) as again:
        assert again == listen


async def test_every_address_of_a_name_has_the_same_port() -> None:
    async with shared_port("localhost:0") as listen:
        addresses = await find_free(listen, shares_port=True)
        assert {address.rpartition(":")[2] for address in addresses} == {listen.rpartition(":")[2]}


async def test_port_alone_gets_no_connection() -> None:
    async with shared_port("127.0.0.1:0") as listen:
        port = int(listen.rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 10)
        with listening(port) as process, socket.create_connection(("127.0.0.1", port), 10):
            process.settimeout(30)
            process.accept()[0].close()


async def test_connections_of_an_earlier_server_are_no_hindrance() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            there, _ = server.accept()
            there.close()  # first, so that the server's end waits for late packets
            client.recv(1)
    async with shared_port(f"127.0.0.1:{port}") as listen:
        assert listen == f"127.0.0.1:{port}"
