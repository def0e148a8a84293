"""Resolves hosts, and tells public network addresses from private ones."""

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from workers.news_analyzer.reason import PassingReason, Reason, postpone, reject

IpAddress = IPv4Address | IPv6Address

# RFC 6052: an IPv4 address in the last four bytes.
_NAT64 = IPv6Network("64:ff9b::/96")
_NO_SUCH_HOST = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})


def is_public(address: IpAddress) -> bool:
    """Whether the address is a host's on the public internet.

    False for loopback, private, link-local, multicast and reserved ranges (the
    IANA special-purpose registries, as `ipaddress` knows them), also when such
    an IPv4 address is wrapped in an IPv6 one.
    """
    if isinstance(address, IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            wrapped = IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(wrapped)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def resolve(host: str, port: int, *, allow_private: bool) -> list[IpAddress]:
    """Returns the addresses of `host` that may be connected to, in the resolver's order.

    Connect to one of these and not to the name again, which may by then lead
    elsewhere. Raises Fail (DOCUMENT_NOT_FOUND) for an unknown host, Fail
    (ADDRESS_NOT_ALLOWED) when all its addresses are private, Retry when the
    resolver is silent. Waits as long as the system's resolver does.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_SUCH_HOST:
            raise reject(Reason.DOCUMENT_NOT_FOUND, f"there is no host {host}") from error
        raise postpone(PassingReason.CONNECTION_FAILED, f"cannot look up {host}") from error
    except (OSError, UnicodeError) as error:
        raise reject(Reason.URL_INVALID, "the URL's host is not a host name") from error
    # An IPv6 address may carry its zone behind a percent sign.
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    allowed = [address for address in addresses if allow_private or is_public(address)]
    if not allowed:
        raise reject(Reason.ADDRESS_NOT_ALLOWED, f"{host} has no public address")
    return list(dict.fromkeys(allowed))
