"""The parent goes on when the machine has no room for a process, and needs few libraries."""

import asyncio
import logging
import subprocess
import sys

import pytest

from jobsvc.processes.group import Group
from jobsvc.sd_notify import ServiceManager
from jobsvc.settings import Settings
from tests.support.probe import eventually


async def test_process_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    stop = asyncio.Event()
    group = Group(Settings(processes=2), stop, ServiceManager())
    with caplog.at_level(logging.ERROR):
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(group.run(None, pytest.fail))
            await eventually(lambda: len(caplog.messages) == 2, seconds=30)
            stop.set()
    assert running.result() == 0
    assert [message.rpartition("; ")[2] for message in caplog.messages] == [
        "again in 0.5 s",
        "again in 1 s",
    ]


def test_parent_imports_neither_grpc_nor_the_driver() -> None:
    asked = "import sys, jobsvc.processes.serve; print({'grpc', 'asyncpg'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "set()\n"
