"""What holds a TCP port on which nobody listens, as Linux tells it: the connection of a client.

Linux takes the ports of outgoing connections from a range that most servers' ports are in. A
client that calls such a port while nobody listens there may get that very port for itself; then
the connection reaches itself, and the server cannot start.
"""

import socket
import struct
from collections.abc import Iterable
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LISTEN = "0A"


def holder_of(port: int) -> str:
    """Returns a remark on what holds `port`; empty if that is a server, or unknown."""
    try:
        tables = [table.read_text() for table in _TABLES if table.exists()]
        first, last = _RANGE.read_text().split()
    except (OSError, ValueError):
        return ""
    held = find_holder("".join(tables).splitlines(), port)
    return held and (
        f", {held}. A port outside {first} to {last} (net.ipv4.ip_local_port_range) is not given to"
        " clients"
    )


def find_holder(rows: Iterable[str], port: int) -> str:
    """Returns which connection in rows of /proc/net/tcp and tcp6 has the port. Pure."""
    columns = [row.split()[1:4] for row in rows if row]
    held = [(at, to, state) for at, to, state in columns if at.endswith(f":{port:04X}")]
    if not held or any(state == _LISTEN for _, _, state in held):
        return ""
    if any(at == to for at, to, _ in held):
        return "by a client that called it while nobody listened, and reached itself"
    return f"by a connection with {_address(held[0][1])}"


def _address(hexadecimal: str) -> str:
    """`0100007F:83F7` as `127.0.0.1:33783`: words of four bytes, as the processor has them."""
    host, _, port = hexadecimal.partition(":")
    words = [int(host[start : start + 8], 16) for start in range(0, len(host), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    if len(words) == 1:
        return f"{socket.inet_ntop(socket.AF_INET, packed)}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port, 16)}"
