"""Only public addresses are connected to, unless private ones are allowed."""

from ipaddress import ip_address

import pytest

from jobsvc.worker import Fail
from workers.news_analyzer.address import is_public, resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_address_is_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "::1"])
def test_every_spelling_of_loopback_is_refused(host: str) -> None:
    with pytest.raises(Fail) as caught:
        resolve(host, 80, allow_private=False)
    assert caught.value.reason == "ADDRESS_NOT_ALLOWED"


def test_private_address_is_resolved_where_allowed() -> None:
    assert resolve("127.0.0.1", 80, allow_private=True) == [ip_address("127.0.0.1")]


def test_host_that_is_no_name_is_refused() -> None:
    with pytest.raises(Fail) as caught:
        resolve("a" * 300, 80, allow_private=True)
    assert caught.value.reason == "URL_INVALID"
