"""The health check of a real server, and of none."""

import asyncio

import pytest

from jobsvc.app import Replica
from jobsvc.client import CallFailed, Unavailable
from jobsvc.client.health import SERVING, check_health


@pytest.mark.parametrize("service", ["", "jobsvc.v1.JobService"])
async def test_running_server_is_serving(server: Replica, service: str) -> None:
    target = f"127.0.0.1:{server.port}"
    assert await asyncio.to_thread(check_health, target, service) == SERVING


async def test_unknown_service_is_not_found(server: Replica) -> None:
    with pytest.raises(CallFailed) as failed:
        await asyncio.to_thread(check_health, f"127.0.0.1:{server.port}", "jobsvc.v1.Nothing")
    assert failed.value.code == "NOT_FOUND"


def test_address_where_no_server_listens_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        check_health("127.0.0.1:1")
