"""The server's connections, found among the open files of the process: gRPC does not give them
out."""

import ipaddress
import os
import socket
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

_FILES = Path("/dev/fd")
_IP = (socket.AF_INET, socket.AF_INET6)

#: Address and port of a client.
Peer = tuple[str, int]
#: The port that a socket is bound to, or its path.
SocketName = int | bytes


def open_files() -> int:
    """Returns how many files are open. Quick."""
    return len(os.listdir(_FILES))  # noqa: PTH208  # the quick way


class PeerScan:
    """Finds the peers of a port again and again; looks closely only at files that are new."""

    def __init__(self, port: int) -> None:
        self._port = port
        #: Of each file: which one it was, and its peer, if it is a connection to the port.
        self._seen: dict[str, tuple[int, Peer | None]] = {}

    def peers(self) -> list[Peer]:
        """The peers that are connected now. Raises OSError."""
        seen = {}
        for name in os.listdir(_FILES):  # noqa: PTH208  # the quick way
            with suppress(OSError):  # It was closed meanwhile.
                number = os.fstat(int(name)).st_ino
                before = self._seen.get(name)
                known = before is not None and before[0] == number
                seen[name] = before if known and before else (number, self._peer(int(name)))
        self._seen = seen
        return [peer for _, peer in seen.values() if peer is not None]

    def cut(self, peers: Collection[Peer]) -> None:
        """Cuts the connections of these peers, as far as they are still there."""
        for name, (_, peer) in self._seen.items():
            if peer in peers:
                with suppress(OSError), socket.socket(fileno=os.dup(int(name))) as found:
                    if _peer_of(found, self._port) == peer:
                        found.shutdown(socket.SHUT_RDWR)

    def _peer(self, file: int) -> Peer | None:
        if not stat.S_ISSOCK(os.fstat(file).st_mode):
            return None
        with socket.socket(fileno=os.dup(file)) as found:
            return _peer_of(found, self._port)


def cut_connections(name: SocketName) -> None:
    """Stops listening on a port or path, and cuts every connection to it.

    A call in progress then ends with UNAVAILABLE at its client. gRPC, told to stop, would end it
    with CANCELLED, as if the caller itself had given up.
    """
    for found in _sockets(name):
        with suppress(OSError):
            found.shutdown(socket.SHUT_RDWR)


def path_of(address: str) -> bytes:
    """Returns the name of the sockets of an address unix:PATH, or unix-abstract:NAME."""
    scheme, _, path = address.partition(":")
    return os.fsencode("\0" + path if scheme == "unix-abstract" else path.removeprefix("//"))


def plain_address(address: str) -> str:
    """An address in its shortest form, without its interface; IPv4 as such also where the socket is
    one for IPv6. Raises ValueError."""
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def _peer_of(found: socket.socket, port: int) -> Peer | None:
    if _name(found) != port:
        return None
    try:
        address, number = found.getpeername()[:2]
    except OSError:  # It listens, or its client is gone.
        return None
    return plain_address(address), number


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
