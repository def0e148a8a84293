"""`http_proxy` in the environment of a caller, at an address where nobody listens."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from jobsvc.client import AsyncClient, CallFailed, Client, Unavailable
from jobsvc.client.health import serving_status
from jobsvc.v1 import job_service_pb2
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Peer
from tests.client.support.threaded import Threaded

ELSEWHERE = "jobs.invalid:50051"


@pytest.fixture(autouse=True)
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the proxy."""
    for name in ("grpc_proxy", "https_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("http_proxy", f"http://me:secret@{proxy}")
        yield proxy


async def test_call_for_loopback_does_not_go_there(client: Any, peer: Peer) -> None:
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    assert (await client.get(JOB_ID)).id == JOB_ID


async def test_failure_of_any_other_call_names_it(dead_proxy: str) -> None:
    remark = f"by way of the proxy {dead_proxy} that http_proxy names"
    async with AsyncClient(ELSEWHERE, timeout=0.3) as client:
        with pytest.raises(CallFailed, match=remark):
            await client.get(JOB_ID)
        with pytest.raises(Unavailable, match=remark):
            async for _ in client.follow([JOB_ID], reconnect_seconds=0):
                pass
    with (
        Client(ELSEWHERE, timeout=0.3) as client_that_blocks,
        pytest.raises(CallFailed, match=remark),
    ):
        await Threaded(client_that_blocks).get(JOB_ID)
    with pytest.raises(CallFailed, match=remark):
        serving_status(ELSEWHERE)
