"""Which addresses only this machine can reach."""

import ipaddress
import re

_SCHEME = re.compile(r"dns:(//[^/]*/)?|ipv[46]:")
_PORT = re.compile(r":\d+$")


def is_loopback(host: str) -> bool:
    """Returns whether a host, by name or number, is this machine's loopback."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_local_target(target: str) -> bool:
    """Returns whether what is sent to a gRPC target stays on this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    return is_loopback(host_of(target))


def host_of(target: str) -> str:
    """Returns the host of a gRPC target, by name or number."""
    return _PORT.sub("", _SCHEME.sub("", target, count=1)).strip("[]")
