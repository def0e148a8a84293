"""The server's connections, found among the open files of the process: gRPC does not give them
out. Each takes a file, and where files run out, gRPC lets clients wait without a word."""

import asyncio
import ipaddress
import logging
import os
import resource
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from jobsvc.domain.errors import RateLimited

log = logging.getLogger(__name__)

_FILES = Path("/dev/fd")
_IP = (socket.AF_INET, socket.AF_INET6)
#: Files that are kept back for the database, logs, and what libraries open.
_RESERVED_FILES = 64
_SCAN_SECONDS = 0.25
#: Room for connections that are there only to be refused in words. gRPC cuts off those beyond it.
_REFUSED_SHARE = 8

#: Address and port of a client.
Peer = tuple[str, int]
#: The port that a socket is bound to, or its path.
SocketName = int | bytes


def most_connections() -> int:
    """Returns how many connections the limit of open files allows."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**31 - 1 if files == resource.RLIM_INFINITY else max(1, files - _RESERVED_FILES)


class Connections:
    """Which connections are served: the first ones, and those beyond only to be refused."""

    def __init__(self, most: int) -> None:
        #: gRPC itself has to cut off those beyond.
        self.most = most
        self._most_served = most - most // _REFUSED_SHARE
        self._served: dict[Peer, None] = {}
        #: As many as are served; only then do calls have to be checked.
        self.full = False

    def check(self, peer: str) -> None:
        """Refuses a call on a connection that is one too many.

        Raises:
            RateLimited: in words for the caller.
        """
        if self.full and _parsed(peer) not in self._served:
            raise RateLimited(
                f"the server serves {self._most_served} connections at a time;"
                " try again later, or at another replica",
                "connections",
            )

    async def watch(self, port: int) -> None:
        """Counts the TCP connections to `port` again and again, until cancelled."""
        blind = False
        while True:
            await asyncio.sleep(_SCAN_SECONDS)
            try:
                # All files, which are quick to count, bound the connections from above.
                files = len(os.listdir(_FILES))  # noqa: PTH208  # the quick way
                if self.full or files > self._most_served:
                    self.update(await asyncio.to_thread(_peers, port))
            except OSError as error:  # To look takes a file, too.
                if not blind:
                    log.error("cannot count connections: %s", error)
                blind = True
            else:
                blind = False

    def update(self, peers: set[Peer]) -> None:
        """Decides which of the connections that there are now are served."""
        served = [peer for peer in self._served if peer in peers]
        new = [peer for peer in peers if peer not in self._served]
        self._served = dict.fromkeys((served + new)[: self._most_served])
        was_full, self.full = self.full, len(peers) >= self._most_served
        if self.full and not was_full:
            log.error(
                "%d connections: more are refused. Raise JOBSVC_MAX_CONNECTIONS or the limit of"
                " open files (ulimit -n), or start another replica",
                len(peers),
            )
        elif was_full and not self.full:
            log.info("%d connections: new ones are served again", len(peers))


def cut_connections(name: SocketName) -> None:
    """Stops listening on a port or path, and cuts every connection to it.

    A call in progress then ends with UNAVAILABLE at its client. gRPC, told to stop, would end it
    with CANCELLED, as if the caller itself had given up.
    """
    for found in _sockets(name):
        with suppress(OSError):
            found.shutdown(socket.SHUT_RDWR)


def _peers(port: int) -> set[Peer]:
    peers = set()
    for found in _sockets(port):
        with suppress(OSError):  # It listens, or its client is gone.
            address, number = found.getpeername()[:2]
            peers.add((_plain(address), number))
    return peers


def path_of(address: str) -> bytes:
    """Returns the name of the sockets of an address unix:PATH, or unix-abstract:NAME."""
    scheme, _, path = address.partition(":")
    return os.fsencode("\0" + path if scheme == "unix-abstract" else path.removeprefix("//"))


def _sockets(name: SocketName) -> Iterator[socket.socket]:
    """Copies of the sockets of this name, each closed when the next one is asked for."""
    for path in _FILES.iterdir():
        # Files are closed, and their numbers given to others, while this goes on.
        with suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(int(path.name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(path.name))) as found:
                if _name(found) == name:
                    yield found


def _name(of: socket.socket) -> SocketName | None:
    if of.family in _IP:
        port: int = of.getsockname()[1]
        return port
    return os.fsencode(of.getsockname()) if of.family == socket.AF_UNIX else None


def _parsed(peer: str) -> Peer | None:
    """A peer as gRPC names it: `ipv4:127.0.0.1:50051`, `ipv6:%5B::1%5D:50051`."""
    address, _, number = unquote(peer.partition(":")[2]).rpartition(":")
    try:
        return _plain(address.strip("[]")), int(number)
    except ValueError:
        return None


def _plain(address: str) -> str:
    """An address in its shortest form, without its interface; IPv4 as such also where the socket is
    one for IPv6."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)
