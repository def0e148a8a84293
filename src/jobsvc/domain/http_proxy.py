"""Which HTTP proxy gRPC sends a connection through. Pure: the environment is an argument.

gRPC takes the proxy even for a server on this machine, where it can only fail; the options
of our channels forbid that.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from jobsvc.domain.loopback import host_of, is_local_target

#: gRPC takes the first that is set.
_PROXY_NAMES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTION_NAMES = ("no_grpc_proxy", "no_proxy")


def proxy_options(target: str) -> list[tuple[str, int]]:
    """Returns the options of a channel to `target` that keep loopback off the proxy."""
    return [("grpc.enable_http_proxy", 0)] if is_local_target(target) else []


def name_proxy(target: str, environment: Mapping[str, str]) -> str:
    """Returns a remark about the proxy on the way to `target`; empty if there is none."""
    name = _first_set(_PROXY_NAMES, environment)
    if not name or not target or is_local_target(target):
        return ""
    exceptions = environment.get(_first_set(_EXCEPTION_NAMES, environment), "")
    if _is_excepted(host_of(target), filter(None, map(str.strip, exceptions.split(",")))):
        return ""
    # Without the user and the password that may stand before the host.
    proxy = urlsplit(environment[name]).netloc.rpartition("@")[2]
    return f" (by way of the proxy {proxy} that {name} names; no_proxy can except this server)"


def _first_set(names: Iterable[str], environment: Mapping[str, str]) -> str:
    return next((name for name in names if environment.get(name)), "")


def _is_excepted(host: str, exceptions: Iterable[str]) -> bool:
    return any(
        host.lower().endswith(exception.lower()) or _is_within(host, exception)
        for exception in exceptions
    )


def _is_within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
