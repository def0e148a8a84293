"""The units of deploy/systemd, run by a small supervisor, and as systemd itself reads them."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jobsvc.exit_code import ExitCode
from jobsvc.settings import Settings
from jobsvc.worker.worker import DEFAULT_GRACE_SECONDS
from tests.e2e.support.processes import PROCESSORS
from tests.e2e.support.stage import Stage
from tests.e2e.support.supervisor import UNITS, Supervised, read_unit

NAMES = sorted(path.name for path in UNITS.iterdir())


@asynccontextmanager
async def supervised(
    unit: str, folder: Path, environment: Mapping[str, str], *, instance: str = ""
) -> AsyncIterator[Supervised]:
    process = Supervised(unit, folder, environment, instance=instance)
    try:
        yield process
    finally:
        process.kill()


def server_environment(dsn: str, folder: Path) -> dict[str, str]:
    return {
        "JOBSVC_DSN": dsn,
        "JOBSVC_LISTEN": "127.0.0.1:0",
        "JOBSVC_ENV_FILE": str(folder / "log.env"),
    }


async def test_server_is_started_watched_reloaded_and_stopped(stage: Stage) -> None:
    log_file = stage.folder / "log.env"
    log_file.write_text("JOBSVC_LOG_LEVEL=debug\n")
    environment = server_environment(stage.dsn, stage.folder)
    async with supervised("jobsvc.service", stage.folder / "unit", environment) as server:
        await server.tells("READY=1")
        assert "jobsvc listening on " in server.stdout
        await server.tells("STATUS=serving")

        server.reload()
        reloading = await server.tells("READY=1")
        assert reloading[0] == "RELOADING=1"
        assert reloading[1].startswith("MONOTONIC_USEC=")
        assert "SIGHUP: the level of the log is DEBUG" in server.stderr
        target = server.stdout.split()[-1]
        worker = await stage.work(target)
        await server.says(30, " DEBUG jobsvc.dispatch.claim_loop: claimed 0 of ")
        worker.terminate()
        log_file.write_text("JOBSVC_LOG_LEVEL=loud\n")
        server.reload()
        await server.tells("READY=1")
        assert "SIGHUP: the level of the log stays as it is: JOBSVC_LOG_LEVEL" in server.stderr

        server.terminate()
        assert "WATCHDOG=1" not in await server.tells("STOPPING=1")
        (stop_seconds,) = map(int, server.unit["TimeoutStopSec"])
        assert await server.exited(stop_seconds) == 0
        assert not server.is_started_again


async def test_watchdog_hears_the_loop_and_no_frozen_process(stage: Stage) -> None:
    environment = {**server_environment(stage.dsn, stage.folder), "WATCHDOG_USEC": "400000"}
    async with supervised("jobsvc.service", stage.folder / "unit", environment) as server:
        await server.tells("READY=1")
        for _ in range(3):
            await server.tells("WATCHDOG=1", 5)
        server.freeze()
        server.take_heard()
        await asyncio.sleep(1)  # Five times as long as between two of them.
        assert server.take_heard() == []
        server.thaw()
        await server.tells("WATCHDOG=1", 5)


async def test_worker_is_ready_when_it_has_subscribed_and_says_that_it_stops(stage: Stage) -> None:
    server = await stage.serve()
    environment = {"JOBSVC_TARGET": server.target, "E2E_HISTORY": str(stage.history.path)}
    async with supervised(
        "jobsvc-worker@.service", stage.folder / "unit", environment, instance=str(PROCESSORS)
    ) as worker:
        await worker.tells("READY=1")
        assert " subscribed to " in worker.stdout
        worker.reload()
        await worker.tells("READY=1")
        worker.terminate()
        await worker.tells("STOPPING=1")
        assert await worker.exited(30) == 0
        assert not worker.is_started_again


async def test_worker_without_its_server_is_not_ready(stage: Stage) -> None:
    environment = {
        "JOBSVC_TARGET": f"unix:{stage.folder}/none",
        "E2E_HISTORY": str(stage.history.path),
    }
    async with supervised(
        "jobsvc-worker@.service", stage.folder / "unit", environment, instance=str(PROCESSORS)
    ) as worker:
        await worker.says(30, " is not available")
        worker.terminate()
        assert "READY=1" not in await worker.tells("STOPPING=1")
        assert await worker.exited(30) == 0


@pytest.mark.parametrize(
    ("change", "code", "again"),
    [
        ({"JOBSVC_POOL_SIZE": "0"}, ExitCode.CONFIGURATION, False),
        ({"JOBSVC_DSN": "mysql://h/d"}, ExitCode.CONFIGURATION, False),
        (
            {"JOBSVC_DSN": "host=/none dbname=d", "JOBSVC_START_WAIT_SECONDS": "0.5"},
            ExitCode.TEMPORARY,
            True,
        ),
    ],
)
async def test_server_is_started_again_unless_somebody_must_look(
    stage: Stage, change: dict[str, str], code: ExitCode, again: bool
) -> None:
    environment = server_environment(stage.dsn, stage.folder) | change
    async with supervised("jobsvc.service", stage.folder / "unit", environment) as server:
        assert await server.exited(30) == code
        assert server.is_started_again is again


def test_time_to_stop_is_longer_than_the_drain() -> None:
    (server,), (worker,) = (read_unit(name)["TimeoutStopSec"] for name in reversed(NAMES))
    assert int(server) >= Settings().drain_seconds + 15
    assert int(worker) >= DEFAULT_GRACE_SECONDS + 10


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("name", NAMES)
def test_systemd_takes_the_unit(name: str, tmp_path: Path) -> None:
    text = (UNITS / name).read_text(encoding="utf-8")
    copy = tmp_path / name.replace("@", "@emails")
    # Of a command, systemd wants to see the file.
    copy.write_text(text.replace("/opt/jobsvc/bin/jobsvc", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", copy],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
