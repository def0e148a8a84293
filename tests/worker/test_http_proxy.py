"""`http_proxy` in the environment of a worker, at an address where nobody listens."""

import socket
from collections.abc import Iterator

import pytest

from jobsvc.worker import Worker
from tests.support.probe import eventually
from tests.worker.support.scripted_server import scripted_server
from tests.worker.support.stage import echo, streaming


@pytest.fixture(autouse=True)
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the proxy."""
    for name in ("grpc_proxy", "https_proxy", "no_grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        yield proxy


async def test_stream_to_loopback_does_not_go_there() -> None:
    async with scripted_server() as server, streaming(server, echo):
        pass


async def test_failure_of_any_other_stream_names_it(
    dead_proxy: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Worker([echo], target="jobs.invalid:50051", grace_seconds=0.0):
        await eventually(
            lambda: f"by way of the proxy {dead_proxy}" in caplog.text, what="the log line"
        )
