"""A worker as a process: its output, its end, and its heartbeats while it is busy."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import grpc
import psutil
import pytest
from google.protobuf.duration_pb2 import Duration

from jobsvc.exit_code import ExitCode
from jobsvc.worker.command import main
from tests.support.probe import eventually
from tests.worker.support.process import python_module
from tests.worker.support.scripted_server import ScriptedServer, lease, scripted_server

pytestmark = pytest.mark.timeout(60)

PROCESSORS = '''
import asyncio
import time
from jobsvc.worker import Context, processor

@processor("echo")
async def echo(value: dict) -> dict:
    return value

@processor("wait")
async def wait(value: dict) -> None:
    await asyncio.Event().wait()

@processor("block")
async def block(value: dict) -> None:
    """Blocks the event loop, as nobody should."""
    time.sleep(value["seconds"])

@processor("compute")
def compute(value: dict, context: Context) -> None:
    """Keeps the interpreter busy."""
    until = time.monotonic() + value["seconds"]
    while time.monotonic() < until:
        context.progress(50)

@processor("hang")
def hang(value: dict) -> None:
    time.sleep(3600)
'''


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


def worker_process(
    directory: Path, *arguments: str, **env: str
) -> AbstractAsyncContextManager[Process]:
    return python_module(directory, "jobsvc.worker", *arguments, **env)


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(PROCESSORS)
    return tmp_path


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def test_announces_itself_works_and_leaves_on_sigterm(
    server: ScriptedServer, modules: Path
) -> None:
    async with worker_process(modules, "mine", "--version", "v7", JOBSVC_TARGET=server.target) as p:
        stream = await server.next_stream()
        assert stream.subscribe.worker.version == "v7"
        announced = f"jobsvc worker {stream.subscribe.worker.worker_id} subscribed to"
        assert await line(p) == f"{announced} echo, wait, block, compute, hang (concurrency 8)"
        assert set(server.declared) == {"echo", "wait", "block", "compute", "hang"}
        await stream.dispatch(lease("a", "echo", '{"x":1}'))
        (outcome,) = await stream.outcomes(1)
        assert outcome.success.output.json_text == '{"x":1}'
        p.send_signal(signal.SIGTERM)
        assert (await stream.frame("set_window")).window == 0
        await stream.see_off()
        assert await p.wait() == 0


@pytest.mark.parametrize("queue", ["block", "compute"])
async def test_heartbeats_go_on_while_a_processor_is_busy(
    server: ScriptedServer, modules: Path, queue: str
) -> None:
    async with worker_process(modules, "mine.py", "--target", server.target) as p:
        stream = await server.next_stream(extend_seconds=0.2)
        await stream.dispatch(lease("a", queue, '{"seconds":3}'))
        for _ in range(8):
            extend = await asyncio.wait_for(stream.frame("extend_leases"), 2)
            assert {e.lease_id for e in extend.extensions} == {"a"}
        await stream.outcomes(1)
        p.send_signal(signal.SIGINT)
        await stream.see_off()
        assert await p.wait() == 0


async def test_blocked_loop_does_not_keep_threads_from_working(
    server: ScriptedServer, modules: Path
) -> None:
    async with worker_process(modules, "mine", "--target", server.target):
        stream = await server.next_stream()
        await stream.dispatch(lease("a", "block", '{"seconds":60}'))
        await stream.dispatch(lease("b", "compute", '{"seconds":0}'))
        (outcome,) = await stream.outcomes(1)
        assert outcome.lease_id == "b"


async def test_blocked_loop_is_named_and_takes_no_job_until_it_answers(
    server: ScriptedServer, modules: Path
) -> None:
    async with worker_process(modules, "mine", "--target", server.target) as p:
        stream = await server.next_stream()
        await stream.dispatch(lease("a", "block", '{"seconds":4}'))
        assert (await stream.frame("set_window")).window == 0
        (outcome,) = await stream.outcomes(1)
        assert outcome.HasField("success")
        # It may come before the outcome.
        await eventually(lambda: stream.window == 8)
        p.send_signal(signal.SIGTERM)
        await stream.see_off()
        _, stderr = await p.communicate()
        assert "ERROR jobsvc.worker: job job-a of block, attempt 1 blocks the worker" in f"{stderr}"


async def test_time_that_another_job_blocks_is_not_held_against_a_job(
    server: ScriptedServer, modules: Path
) -> None:
    async with worker_process(modules, "mine", "--target", server.target):
        stream = await server.next_stream()
        await stream.dispatch(
            lease("begun", "wait", attempt_timeout=Duration(seconds=3)),
            lease("blocker", "block", '{"seconds":60}', attempt_timeout=Duration(seconds=4)),
            lease("waits", "wait", attempt_timeout=Duration(seconds=3)),
        )
        outcomes = await stream.outcomes(3)
        assert [(o.lease_id, o.WhichOneof("result")) for o in outcomes] == [
            ("waits", "release"),
            ("begun", "release"),
            ("blocker", "failure"),
        ]
        assert outcomes[2].failure.error.reason == "ATTEMPT_TIMEOUT"


@pytest.mark.parametrize("queue", ["block", "hang"])
async def test_hanging_job_is_released_and_the_process_ends(
    server: ScriptedServer, modules: Path, queue: str
) -> None:
    options = ("--target", server.target, "--grace", "0.2")
    async with worker_process(modules, "mine", *options) as p:
        stream = await server.next_stream()
        await stream.dispatch(lease("a", queue, '{"seconds":3600}'))
        await stream.frame("acknowledge")
        p.send_signal(signal.SIGTERM)
        (outcome,) = await stream.outcomes(1)
        assert outcome.WhichOneof("result") == "release"
        await stream.see_off()
        # A blocked event loop cannot end in order; the process ends all the same.
        assert await p.wait() == (1 if queue == "block" else 0)


async def test_second_signal_ends_it_at_once(server: ScriptedServer, modules: Path) -> None:
    async with worker_process(modules, "mine", "--target", server.target) as p:
        stream = await server.next_stream()
        await stream.dispatch(lease("a", "hang"))
        await stream.frame("acknowledge")
        p.send_signal(signal.SIGTERM)
        await stream.frame("set_window")
        p.send_signal(signal.SIGTERM)
        assert await p.wait() == 128 + signal.SIGTERM


async def test_refusal_is_one_line_and_temporary(server: ScriptedServer, modules: Path) -> None:
    async with worker_process(modules, "mine", "--target", server.target) as p:
        stream = await server.next_stream(accept=False)
        await stream.finish(grpc.StatusCode.PERMISSION_DENIED, "no role jobs.worker")
        _, stderr = await p.communicate()
        assert p.returncode == ExitCode.TEMPORARY
        assert stderr.decode().splitlines() == [
            f"jobsvc worker: {server.target} answered PERMISSION_DENIED: no role jobs.worker"
        ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere"], "there is no module nowhere"),
        (["nowhere.py"], "there is no file"),
        (["broken"], "cannot import broken: NameError: name 'nonsense' is not defined"),
        (["leaves"], "cannot import leaves: SystemExit: 3"),
        (["needs"], "cannot import needs: ModuleNotFoundError: No module named 'missing'"),
        (["empty"], "module empty has no processor"),
        (["twice"], "queue q has two processors: twice.a and twice.b"),
        (["mine", "--concurrency", "0"], "concurrency must be 1 to 10000, not 0"),
        (["mine", "--target", "h:70000"], "target h:70000: the port must be at most 65535"),
    ],
)
async def test_unusable_command_line_is_explained_in_one_line(
    modules: Path, arguments: list[str], complaint: str
) -> None:
    (modules / "broken.py").write_text("def f():\n    nonsense\nf()\n")
    (modules / "leaves.py").write_text("raise SystemExit(3)\n")
    (modules / "needs.py").write_text("import missing\n")
    (modules / "empty.py").write_text("")
    (modules / "twice.py").write_text(
        "from jobsvc.worker import processor\n"
        "@processor('q')\ndef a(x: dict): ...\n@processor('q')\ndef b(x: dict): ...\n"
    )
    async with worker_process(modules, *arguments) as p:
        _, stderr = await p.communicate()
    assert p.returncode == ExitCode.CONFIGURATION
    (only,) = stderr.decode().splitlines()
    assert only.startswith(f"jobsvc worker: {complaint}")


async def test_module_that_finds_a_network_or_a_disk_missing_may_be_imported_later(
    modules: Path,
) -> None:
    (modules / "offline.py").write_text("raise ConnectionRefusedError('no cache')\n")
    async with worker_process(modules, "offline") as p:
        _, stderr = await p.communicate()
    assert p.returncode == ExitCode.TEMPORARY
    assert stderr.decode().startswith(
        "jobsvc worker: cannot import offline: ConnectionRefusedError: no cache"
    )


@pytest.mark.parametrize("options", [[], ["--take-back"]])
async def test_declares_as_the_command_line_says(
    server: ScriptedServer, modules: Path, options: list[str]
) -> None:
    async with worker_process(modules, "mine", "--target", server.target, *options):
        await server.next_stream()
        kept = {request.keep_newer_schema for request in server.declared.values()}
        assert kept == {not options}


async def test_missing_server_is_waited_for_and_said(modules: Path) -> None:
    async with scripted_server() as gone:
        target = gone.target
    async with worker_process(modules, "mine", "--target", target) as p:
        assert p.stderr is not None
        warning = (await p.stderr.readline()).decode()
        assert f"WARNING jobsvc.worker: {target} is not available" in warning
        p.send_signal(signal.SIGTERM)
        assert await p.wait() == 0


async def test_at_rest_it_is_small(server: ScriptedServer, modules: Path) -> None:
    async with worker_process(modules, "mine", "--target", server.target) as p:
        await server.next_stream()
        await line(p)
        assert psutil.Process(p.pid).memory_info().rss < 90 * 1024 * 1024


async def test_import_brings_no_server_along() -> None:
    unwanted = "asyncpg rich typer jobsvc.store jobsvc.api jobsvc.dispatch opentelemetry.sdk"
    code = (
        "import sys, jobsvc.worker.command\n"
        f"print([m for m in '{unwanted}'.split() if m in sys.modules])"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE)
    stdout, _ = await process.communicate()
    assert stdout.decode().strip() == "[]"


def test_name_that_is_no_setting_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOBSVC_TRGT", "jobs:50051")
    assert main(["nowhere.py"]) == ExitCode.CONFIGURATION
    warning, problem = capsys.readouterr().err.splitlines()
    assert warning == (
        "jobsvc worker: warning: no such setting: JOBSVC_TRGT (rather JOBSVC_TARGET?)"
    )
    assert problem.startswith("jobsvc worker: there is no file")
