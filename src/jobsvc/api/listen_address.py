"""What an address of ours means: every one that a name stands for is to be listened on, or none.

gRPC would be content with one of them, would take the socket file of a server that is alive, and
does not say what is wrong.
"""

# gRPC is named in types only: the parent of several processes does without.
from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jobsvc.api.port_holder import holder_of

if TYPE_CHECKING:
    import grpc
    from grpc import aio

_PATHS = ("unix:", "unix-abstract:")
#: Of an address that a machine without IPv6, say, does not have.
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_CONNECT_SECONDS = 1.0


class PortTaken(Exception):
    """The server cannot listen on its address."""


async def bind(
    server: aio.Server,
    listen: str,
    credentials: Callable[[], grpc.ServerCredentials] | None = None,
    shares_port: bool = False,
) -> int:
    """Makes a server that has not started listen on HOST:PORT, with every number that HOST stands
    for, or on `unix:PATH`; over TLS with what `credentials` makes for each; beside other processes
    if it `shares_port`. Returns the port, 0 for a path.

    Raises:
        PortTaken: it cannot listen on all of them, and listens on none.
    """
    try:
        addresses = await find_free(listen, shares_port)
    except OSError as error:
        raise PortTaken(f"cannot listen on {listen}: {error.strerror or error}") from None
    port = 0
    for address in addresses:
        if port:  # The first one has taken a free port, if need be.
            address = f"{address.rpartition(':')[0]}:{port}"
        try:
            bound = (
                server.add_secure_port(address, credentials())
                if credentials
                else server.add_insecure_port(address)
            )
        except RuntimeError:
            # Somebody was quicker, or a path is of no use. gRPC does not say why.
            raise PortTaken(f"cannot listen on {listen}: it is taken or not ours") from None
        port = 0 if listen.startswith(_PATHS) else bound
    return port


async def find_free(listen: str, shares_port: bool = False) -> list[str]:
    """Returns the addresses that `listen` means, all of them free a moment ago, but for processes
    with which we share. Raises OSError."""
    if listen.startswith(_PATHS):
        check_path(listen)
        return [listen]
    host, _, port = listen.rpartition(":")
    found = await asyncio.get_running_loop().getaddrinfo(
        host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    # A file of hosts may say the same twice.
    return check_numbers(list(dict.fromkeys((family, at) for family, *_, at in found)), shares_port)


# Any: what addresses of a family consist of.
def check_numbers(
    addresses: Sequence[tuple[int, tuple[Any, ...]]], shares_port: bool = False
) -> list[str]:
    """Returns HOST:PORT for each address; leaves out a loopback that this machine does not have.

    Raises:
        OSError: one of them cannot be bound. The text names it, where there are several.
    """
    usable = []
    for family, address in addresses:
        host, port = address[:2]
        name = f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                # As gRPC does: connections that have ended do not count.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if shares_port:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                probe.bind(address)
        except OSError as error:
            loopback = ipaddress.ip_address(host.partition("%")[0]).is_loopback
            if loopback and error.errno in _ABSENT and len(addresses) > 1:
                continue
            holder = holder_of(port) if error.errno == errno.EADDRINUSE else ""
            where = f"{name}: " if len(addresses) > 1 else ""
            text = f"{where}{error.strerror}{holder}"
            raise OSError(error.errno, text) from None
        usable.append(name)
    return usable


def check_path(listen: str) -> None:
    """Refuses a socket on which a server is listening. One that was left behind is no hindrance.

    Raises:
        OSError: it is taken, or cannot be one.
    """
    scheme, _, path = listen.partition(":")
    path = "\0" + path if scheme == "unix-abstract" else path.removeprefix("//")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return
    raise OSError(errno.EADDRINUSE, "a server is listening there")
