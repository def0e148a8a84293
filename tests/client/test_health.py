"""Asking a server whether it is serving."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from typer.testing import CliRunner

from jobsvc.cli import app
from jobsvc.client import CallFailed
from jobsvc.client.health import serving_status

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def target() -> Iterator[str]:
    """A server that is serving as a whole, while one of its services is not."""
    servicer = health.HealthServicer()
    servicer.set("", SERVING)
    servicer.set("jobsvc.v1.WorkerService", NOT_SERVING)
    server = grpc.server(ThreadPoolExecutor(1))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def test_each_service_has_a_status(target: str) -> None:
    assert serving_status(target) == "SERVING"
    assert serving_status(target, "jobsvc.v1.WorkerService") == "NOT_SERVING"


def test_an_unknown_service_is_a_failed_call(target: str) -> None:
    with pytest.raises(CallFailed) as caught:
        serving_status(target, "no.such.Service")
    assert caught.value.code == "NOT_FOUND"


def test_loopback_is_not_asked_through_a_proxy(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody listens there.
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert serving_status(target) == "SERVING"


@pytest.mark.parametrize(
    ("words", "exit_code", "stdout"),
    [
        ((), 0, "SERVING\n"),
        (("--service", "jobsvc.v1.WorkerService"), 1, "NOT_SERVING\n"),
        (("--service", "no.such.Service"), 1, ""),
    ],
)
def test_the_exit_code_says_whether_it_serves(
    target: str, words: tuple[str, ...], exit_code: int, stdout: str
) -> None:
    result = CliRunner().invoke(app, ["--target", target, "health", *words])
    assert (result.exit_code, result.stdout) == (exit_code, stdout)
    if not stdout:
        assert result.stderr.startswith(f"jobsvc: {target} has no service 'no.such.Service'; ")
