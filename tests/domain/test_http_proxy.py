"""Loopback never goes through a proxy of the environment; for the rest, the proxy is named."""

import pytest

from jobsvc.domain.http_proxy import name_proxy, proxy_options

PROXY = {"http_proxy": "http://me:secret@proxy.example:3128"}


@pytest.mark.parametrize(
    "target",
    [
        "127.0.0.1:50051",
        "127.8.9.1:50051",
        "[::1]:50051",
        "localhost:50051",
        "LOCALHOST:50051",
        "dns:///localhost:50051",
        "dns:127.0.0.1:50051",
        "ipv4:127.0.0.1:50051",
        "ipv6:[::1]:50051",
        "unix:/run/jobsvc",
    ],
)
def test_loopback_never_goes_through_a_proxy(target: str) -> None:
    assert proxy_options(target) == [("grpc.enable_http_proxy", 0)]
    assert name_proxy(target, PROXY) == ""


@pytest.mark.parametrize("target", ["jobs.example:50051", "10.0.0.1:50051", "dns:///jobs.example"])
def test_proxy_on_the_way_is_named_without_its_password(target: str) -> None:
    assert proxy_options(target) == []
    remark = name_proxy(target, PROXY)
    assert "proxy.example:3128 that http_proxy names" in remark
    assert "secret" not in remark
    assert name_proxy(target, {}) == ""


def test_proxy_is_the_first_that_grpc_takes() -> None:
    both = {**PROXY, "grpc_proxy": "", "https_proxy": "http://other:1"}
    assert "other:1 that https_proxy names" in name_proxy("jobs.example:1", both)


@pytest.mark.parametrize(
    ("exceptions", "named"),
    [
        ("jobs.example", False),
        ("x, .example", False),
        ("JOBS.EXAMPLE", False),
        ("other.example", True),
        ("", True),
    ],
)
def test_server_that_is_excepted_has_no_proxy(exceptions: str, named: bool) -> None:
    environment = {**PROXY, "no_proxy": exceptions}
    assert bool(name_proxy("jobs.example:50051", environment)) is named
    assert "proxy" in name_proxy("jobs.example:1", {**environment, "no_grpc_proxy": "y"})


def test_network_may_be_excepted() -> None:
    assert name_proxy("10.1.2.3:50051", {**PROXY, "no_proxy": "10.0.0.0/8"}) == ""
