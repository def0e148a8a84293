"""Every command of docs/operations/runbook.md is run, from the first to the last, on a system in
which there is what each is about."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from jobsvc.auth.dev_certs import Authority
from jobsvc.client import RetryPolicy
from jobsvc.extras import is_installed
from tests.e2e.support.stage import Stage
from tests.support.certificates import HOST
from tests.support.looking import look_at
from tests.support.probe import eventually

_PAGE = Path(__file__).parents[2] / "docs/operations/runbook.md"
#: Those that end with 1 where something is wrong.
_MAY_COMPLAIN = ("jobsvc doctor",)


def commands() -> list[str]:
    """The lines of all blocks of the page, without their remarks."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", _PAGE.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    return [re.sub(r"\s+# .*", "", line) for line in lines]


def test_page_begins_with_three_commands() -> None:
    assert commands()[:3] == ["jobsvc doctor", "jobsvc queues list", "jobsvc workers list"]


def test_every_section_has_a_command() -> None:
    for section in _PAGE.read_text(encoding="utf-8").split("\n### ")[1:]:
        assert "```sh\n" in section, section


@pytest.mark.skipif(not is_installed("prometheus"), reason="the extra prometheus is not installed")
@pytest.mark.timeout(400)
async def test_every_command_works(stage: Stage) -> None:
    for program in ("psql", "curl", "bash"):
        if not shutil.which(program):
            pytest.skip(f"there is no {program}")
    pair = Authority().sign("server", HOST, is_server=True, life=timedelta(days=90))
    files = stage.folder / "tls.crt", stage.folder / "tls.key"
    for file, pem in zip(files, pair, strict=True):
        file.write_bytes(pem)
    server = await stage.serve(embedded=True)
    dsn = stage.embedded_dsn
    scraped = await stage.serve(
        dsn=dsn, http_listen="127.0.0.1:0", tls_cert=files[0], tls_key=files[1]
    )
    await scraped.says(30, "/readyz served at ")
    found = re.search(r"served at http://(\S+)", scraped.stderr)
    assert found
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        failed = await caller.create("raises", retry=RetryPolicy(max_attempts=1))
        await caller.follow([failed])
    # A transaction that somebody has forgotten.
    forgotten = await look_at(dsn)
    await forgotten.execute("BEGIN; SELECT FROM jobsvc.job LIMIT 1")
    # The command `jobsvc` is the one of this checkout.
    tools = stage.folder / "bin"
    tools.mkdir()
    (tools / "jobsvc").write_text(f'#!/bin/sh\nexec {sys.executable} -m jobsvc "$@"\n')
    (tools / "jobsvc").chmod(0o755)
    stands_for = {
        "QUEUE": "raises",
        "JOB": failed,
        "PID": str(forgotten.get_server_pid()),
        "127.0.0.1:9464": found[1],
    }
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("JOBSVC_", "OTEL_", "PG"))},
        "PATH": f"{tools}:{os.environ['PATH']}",
        "JOBSVC_DSN": dsn,
        "JOBSVC_TARGET": server.target,
    }
    try:
        bad: list[str] = []
        done: dict[str, subprocess.CompletedProcess[str]] = {}
        for line in dict.fromkeys(commands()):
            command = re.sub(
                r"\b(QUEUE|JOB|PID)\b|127\.0\.0\.1:9464", lambda m: stands_for[m[0]], line
            )
            done[line] = await asyncio.to_thread(
                subprocess.run,
                ["bash", "-o", "pipefail", "-c", command],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
            )
            allowed = (0, 1) if line in _MAY_COMPLAIN else (0,)
            if done[line].returncode not in allowed:
                bad.append(f"{command}: {done[line].stdout}{done[line].stderr}")
        assert not bad, "\n".join(bad)
        assert "is work flowing?" in done["jobsvc doctor"].stdout
        await eventually(forgotten.is_closed, seconds=30, what="the end of the transaction")
    finally:
        forgotten.terminate()
