"""The port that all processes listen on, kept by their parent."""

import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from jobsvc.api.listen_address import PortTaken, find_free


@asynccontextmanager
async def shared_port(listen: str) -> AsyncIterator[str]:
    """Keeps HOST:PORT until the end of the block for the processes of this account, and yields it
    with the port that it took in place of 0.

    The sockets here are bound and never listen, so that they get no connections: the kernel spreads
    those over the processes, which bind with SO_REUSEPORT too. Nobody else gets the port, even
    while all processes are down.

    Raises:
        PortTaken: a server listens there, or it is no address of ours.
    """
    host, _, port = listen.rpartition(":")
    try:
        addresses = await find_free(listen)
    except OSError as error:
        raise PortTaken(f"cannot listen on {listen}: {error.strerror or error}") from None
    with ExitStack() as sockets:
        for address in addresses:
            at, _, number = address.rpartition(":")
            try:
                bound = sockets.enter_context(_bound(at.strip("[]"), int(port) or int(number)))
            except OSError as error:
                raise PortTaken(f"cannot listen on {listen}: {error.strerror or error}") from None
            port = str(bound.getsockname()[1])
        yield f"{host}:{port}"


def _bound(host: str, port: int) -> socket.socket:
    """Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
    )[0]
    found = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # For connections of an earlier server that have ended; not for a server that comes later.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        found.close()
        raise
    return found
