"""Commands that call a server over TLS.

The certificates of `tests/support/tls` are valid until 2120: that of the server, for localhost and
127.0.0.1, signs itself; `another.pem` did not sign it.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from typer.testing import CliRunner, Result

from jobsvc.cli import app
from jobsvc.domain.loopback import is_local_target
from jobsvc.v1 import job_service_pb2
from tests.client.support.messages import JOB_ID, job
from tests.client.support.peer import Peer

Run = Callable[..., Result]

FILES = Path(__file__).parents[1] / "support" / "tls"
CA = str(FILES / "localhost.pem")
WRONG_CA = str(FILES / "another.pem")


@pytest.fixture
def tls_peer() -> Iterator[Peer]:
    """A peer that speaks TLS only, and says that it is serving."""
    peer = Peer()
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    server = grpc.server(ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_generic_rpc_handlers((peer,))
    key, certificate = (FILES / "localhost.key").read_bytes(), Path(CA).read_bytes()
    credentials = grpc.ssl_server_credentials([(key, certificate)])
    peer.target = f"localhost:{server.add_secure_port('127.0.0.1:0', credentials)}"
    server.start()
    yield peer
    server.stop(0).wait()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command without tracing."""
    monkeypatch.delenv("JOBSVC_TRACE_DIR", raising=False)
    return lambda *words: CliRunner().invoke(app, words)


def test_trusted_server_is_called(tls_peer: Peer, run: Run) -> None:
    result = run("--target", tls_peer.target, "--tls", "--ca", CA, "get", JOB_ID, "--token", "t")
    assert (result.exit_code, result.stderr) == (0, "")
    assert JOB_ID in result.stdout
    [call] = tls_peer.calls
    assert call.metadata["authorization"] == "Bearer t"


def test_environment_turns_on_tls(
    tls_peer: Peer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBSVC_TARGET", tls_peer.target)
    monkeypatch.setenv("JOBSVC_CA", CA)
    assert run("get", JOB_ID).exit_code == 0
    assert run("health").stdout == "SERVING\n"


@pytest.mark.parametrize(
    "environment", [{"JOBSVC_CA": WRONG_CA}, {"JOBSVC_TLS": "1"}, {"JOBSVC_TLS": "true"}]
)
def test_server_that_is_not_trusted_is_one_clear_line(
    tls_peer: Peer, run: Run, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = run("health", "--target", tls_peer.target)
    [line] = result.stderr.splitlines()
    assert line.startswith(f"jobsvc: {tls_peer.target}: UNAVAILABLE: ")
    assert "CERTIFICATE_VERIFY_FAILED" in line
    assert (result.exit_code, result.stdout) == (1, "")


def test_call_to_a_server_that_is_not_trusted_sends_nothing(tls_peer: Peer, run: Run) -> None:
    # Not a loopback address by its number, but it reaches this machine.
    target = tls_peer.target.replace("localhost", "0.0.0.0")
    result = run("get", JOB_ID, "--target", target, "--ca", WRONG_CA, "--token", "t")
    [line] = result.stderr.splitlines()
    assert line.startswith("jobsvc: UNAVAILABLE: ")
    assert "CERTIFICATE_VERIFY_FAILED" in line
    assert (result.exit_code, tls_peer.calls) == (1, [])


@pytest.mark.parametrize("command", [("get", JOB_ID), ("health",)])
def test_unusable_file_is_one_clear_line(
    run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    missing = tmp_path / "missing.pem"
    result = run(*command, "--ca", str(missing))
    assert result.stderr == f"jobsvc: --ca {missing}: No such file or directory\n"
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate", encoding="utf-8")
    result = run(*command, "--ca", str(garbage))
    [line] = result.stderr.splitlines()
    assert line.startswith(f"jobsvc: --ca {garbage}: ")
    assert result.exit_code == 1


def test_token_that_leaves_the_machine_unencrypted_is_warned_of(peer: Peer, run: Run) -> None:
    peer.answer("GetJob", job_service_pb2.GetJobResponse(job=job()))
    away = peer.target.replace("127.0.0.1", "0.0.0.0")
    warned = run("get", JOB_ID, "--target", away, "--token", "t")
    assert warned.exit_code == 0
    assert warned.stderr == f"jobsvc: warning: the token goes to {away} unencrypted; use --tls\n"
    assert run("get", JOB_ID, "--target", away).stderr == ""
    assert run("get", JOB_ID, "--target", peer.target, "--token", "t").stderr == ""


@pytest.mark.parametrize(
    ("target", "local"),
    [
        ("localhost:50051", True),
        ("127.0.0.1:50051", True),
        ("127.1.2.3", True),
        ("[::1]:50051", True),
        ("dns:///localhost:50051", True),
        ("dns:localhost:50051", True),
        ("ipv6:[::1]:50051", True),
        ("unix:/run/jobsvc.sock", True),
        ("jobs.internal:50051", False),
        ("localhost.example.org:50051", False),
        ("10.0.0.1:50051", False),
        ("ipv4:127.0.0.1:50051,10.0.0.1:50051", False),
        ("dns:///jobs.internal", False),
        ("[2001:db8::1]:50051", False),
    ],
)
def test_targets_on_this_machine_are_known(target: str, local: bool) -> None:
    assert is_local_target(target) is local
