"""Workers that connect over TLS. The certificates are those of `tests/client/test_tls.py`."""

from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import grpc
import pytest

from jobsvc.exit_code import ExitCode
from tests.worker.support.process import python_module
from tests.worker.support.scripted_server import ScriptedServer, lease, scripted_server
from tests.worker.support.stage import echo, working

pytestmark = pytest.mark.timeout(60)

FILES = Path(__file__).parents[1] / "support" / "tls"
CA = FILES / "localhost.pem"
WRONG_CA = FILES / "another.pem"
PROCESSOR = """
from jobsvc.worker import processor

@processor("q")
async def echo(value: dict) -> dict:
    return value
"""


@pytest.fixture
def pair() -> tuple[bytes, bytes]:
    """Key and certificate of the server."""
    return (FILES / "localhost.key").read_bytes(), CA.read_bytes()


@pytest.fixture
async def server(pair: tuple[bytes, bytes]) -> AsyncIterator[ScriptedServer]:
    """A server that speaks TLS only."""
    credentials = grpc.ssl_server_credentials([pair])
    async with scripted_server(credentials=credentials) as scripted:
        yield scripted


def command(folder: Path, *words: str, **environment: str) -> AbstractAsyncContextManager[Process]:
    """A worker process with a processor of `q`."""
    (folder / "mine.py").write_text(PROCESSOR)
    return python_module(folder, *words, **environment)


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (("jobsvc.worker", "mine", "--ca", str(CA)), {}),
        (("jobsvc.worker", "mine"), {"JOBSVC_CA": str(CA)}),
        (("jobsvc", "work", "mine", "--tls", "--ca", str(CA)), {}),
        (("jobsvc", "--ca", str(CA), "work", "mine"), {}),
        (("jobsvc", "work", "mine"), {"JOBSVC_CA": str(CA), "JOBSVC_TLS": "1"}),
    ],
    ids=["--ca", "JOBSVC_CA", "work --tls --ca", "--ca before work", "work with both"],
)
async def test_worker_works_and_declares_over_tls(
    server: ScriptedServer, tmp_path: Path, words: tuple[str, ...], environment: dict[str, str]
) -> None:
    async with command(tmp_path, *words, JOBSVC_TARGET=server.target, **environment):
        stream = await server.next_stream()
        assert set(server.declared) == {"q"}
        await stream.dispatch(lease("a", "q", '{"x":1}'))
        (outcome,) = await stream.outcomes(1)
        assert outcome.success.output.json_text == '{"x":1}'


@pytest.mark.parametrize(
    "environment", [{"JOBSVC_TLS": "1"}, {"JOBSVC_TLS": "true"}, {"JOBSVC_CA": str(WRONG_CA)}]
)
async def test_server_that_is_not_trusted_gets_nothing_and_is_named(
    server: ScriptedServer, tmp_path: Path, environment: dict[str, str]
) -> None:
    words = ("jobsvc.worker", "mine", "--target", server.target)
    async with command(tmp_path, *words, **environment) as process:
        assert process.stderr is not None
        warning = ""
        while "jobsvc.worker" not in warning:
            warning = (await process.stderr.readline()).decode()
    assert f"{server.target} is not available" in warning
    assert "CERTIFICATE_VERIFY_FAILED" in warning
    assert server.declared == {}


@pytest.mark.parametrize("module", [("jobsvc.worker",), ("jobsvc", "work")])
async def test_unusable_file_is_one_clear_line(tmp_path: Path, module: tuple[str, ...]) -> None:
    missing = tmp_path / "missing.pem"
    async with command(tmp_path, *module, "mine", "--ca", str(missing)) as process:
        _, stderr = await process.communicate()
    assert stderr.decode() == f"jobsvc worker: --ca {missing}: No such file or directory\n"
    assert process.returncode == ExitCode.CONFIGURATION


async def test_program_gives_its_own_credentials(
    server: ScriptedServer, pair: tuple[bytes, bytes]
) -> None:
    credentials = grpc.ssl_channel_credentials(pair[1])
    async with working(server, echo, credentials=credentials) as worker:
        stream = await server.next_stream()
        worker.leave(0.0)
        await stream.see_off()
