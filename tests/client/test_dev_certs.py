"""`jobsvc dev-certs`, and clients, commands and workers that show a certificate."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from typer.testing import CliRunner

from jobsvc.cli import app
from jobsvc.worker.command import run as run_worker


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the command has filled."""
    folder = tmp_path_factory.mktemp("certificates") / "new"
    words = ["dev-certs", str(folder), "--host", "jobs.internal", "--client", "billing"]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert sorted(result.stdout.split()) == sorted(str(path) for path in folder.iterdir())
    return folder


@pytest.fixture
def target(made: Path) -> object:
    """A server that takes clients of the authority only."""
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    pair = ((made / "server.key").read_bytes(), (made / "server.pem").read_bytes())
    credentials = grpc.ssl_server_credentials([pair], (made / "ca.pem").read_bytes(), True)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield f"localhost:{port}"
    server.stop(0).wait()


def test_keys_are_for_their_owner_only(made: Path) -> None:
    modes = {path.suffix: stat.S_IMODE(path.stat().st_mode) for path in made.iterdir()}
    assert modes == {".key": 0o600, ".pem": 0o644}


def test_client_is_named_by_a_uri_and_the_server_by_its_hosts(made: Path) -> None:
    def names(file: str) -> x509.SubjectAlternativeName:
        certificate = x509.load_pem_x509_certificate((made / file).read_bytes())
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    kind = x509.UniformResourceIdentifier
    assert names("billing.pem").get_values_for_type(kind) == ["spiffe://jobsvc.dev/billing"]
    hosts = names("server.pem").get_values_for_type(x509.DNSName)
    assert hosts == ["localhost", "jobs.internal"]


def test_files_that_are_there_are_kept(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.iterdir()}
    result = CliRunner().invoke(app, ["dev-certs", str(made), "--client", "billing"])
    assert result.exit_code == 2
    assert result.stderr.endswith("is there: name another folder\n")
    assert {path: path.read_bytes() for path in made.iterdir()} == before


@pytest.mark.parametrize("name", ["ca", "server", "../x", ""])
def test_name_of_no_client_is_refused(tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["dev-certs", str(tmp_path / "x"), "--client", name])
    assert result.exit_code == 2
    assert not (tmp_path / "x").exists()


def test_command_shows_its_certificate(
    made: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def health_of(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["health", "--target", target, *words])
        return result.exit_code, result.stdout

    files = {"ca": "ca.pem", "cert": "billing.pem", "key": "billing.key"}
    options = [word for name, file in files.items() for word in (f"--{name}", str(made / file))]
    assert health_of(*options) == (0, "SERVING\n")
    assert health_of(*options[:2]) == (1, "")
    for name, file in files.items():
        monkeypatch.setenv(f"JOBSVC_{name.upper()}", str(made / file))
    assert health_of() == (0, "SERVING\n")


@pytest.mark.parametrize("option", ["cert", "key"])
def test_certificate_and_key_need_each_other(made: Path, option: str) -> None:
    file = str(made / f"billing.{'pem' if option == 'cert' else 'key'}")
    result = CliRunner().invoke(app, ["health", f"--{option}", file])
    assert (result.exit_code, result.stderr) == (
        2,
        "jobsvc: a certificate and its key need each other: --cert and --key\n",
    )


def test_worker_with_a_key_of_another_is_told_so(made: Path) -> None:
    from jobsvc.worker import processor

    @processor("q")
    def work(data: dict[str, object]) -> None:
        """Does nothing."""

    with pytest.raises(ValueError, match=r"^--ca .* --cert .*billing\.pem --key .*server\.key: "):
        run_worker(
            [work],
            ca=made / "ca.pem",
            cert=made / "billing.pem",
            key=made / "server.key",
        )
