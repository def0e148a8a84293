"""The demo reads the output of its processes, and never leaves them behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jobsvc.demo.failure import DemoFailed, tails
from jobsvc.demo.process import start_process
from tests.support.probe import blocking_eventually, eventually

STUBBORN = (
    "import signal, subprocess, sys, time; "
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    "print('ready', child.pid, flush=True); time.sleep(60)"
)


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_process_is_ended_with_its_children(tmp_path: Path) -> None:
    async with start_process("it", ["-c", STUBBORN], os.environ, tmp_path / "logs/it") as process:
        found = await process.printed(r"^ready (\d+)$", within_seconds=30)
        grandchild = int(found.group(1))
        assert is_running(grandchild)
    await eventually(lambda: not is_running(grandchild))


async def test_process_that_ends_early_is_reported_with_what_it_said(tmp_path: Path) -> None:
    code = "print('no database'); raise SystemExit(3)"
    async with start_process("it", ["-c", code], os.environ, tmp_path / "it.log") as process:
        with pytest.raises(DemoFailed, match="it ended with exit code 3 before it was ready"):
            await process.printed("ready", within_seconds=30)
        assert tails(tmp_path) == {tmp_path / "it.log": "no database"}
        with pytest.raises(DemoFailed, match="it ended with exit code 3"):
            await process.must_run()


async def test_process_that_never_gets_ready_is_reported(tmp_path: Path) -> None:
    sleeper = ["-c", "import time; time.sleep(60)"]
    async with start_process("it", sleeper, os.environ, tmp_path / "it.log") as process:
        with pytest.raises(DemoFailed, match=r"it was not ready within 0\.1 s"):
            await process.printed("ready", within_seconds=0.1)


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
def test_process_ends_when_the_demo_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "it"
    sleeper = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    demo = f"""
import asyncio, os
from pathlib import Path
from jobsvc.demo.process import start_process
async def main():
    async with start_process("it", ["-c", {sleeper!r}], os.environ, Path({str(log)!r})) as process:
        await process.must_run()
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", demo])
    try:
        blocking_eventually(lambda: log.exists() and log.read_text().endswith("\n"))
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    child = int(log.read_text())
    blocking_eventually(lambda: not is_running(child))
