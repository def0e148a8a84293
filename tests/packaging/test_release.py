"""What a release is made of: built of one tree, it has the same bytes; installed, it works."""

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.packaging.support.environment import Environment
from tests.packaging.support.project import build_sdist, build_wheel, copy_project
from tools.release import ROOT, project_version

pytestmark = pytest.mark.xdist_group("packaging")

PROCESSOR = """
from jobsvc.worker import Context, processor


@processor("sums")
async def add(terms: dict[str, list[int]], context: Context) -> dict[str, int]:
    return {"sum": sum(terms["of"])}
"""


def test_two_builds_have_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two copies whose files have other times and other rights."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764547200")
    built = []
    for number, mode in enumerate((0o600, 0o664)):
        source = copy_project(tmp_path / f"source-{number}")
        for path in source.rglob("*"):
            if path.is_file():
                path.chmod(mode)
                os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
        folder = tmp_path / f"dist-{number}"
        files = (build_wheel(source, folder), build_sdist(source, folder))
        built.append({path.name: path.read_bytes() for path in files})
        shutil.rmtree(source)
    assert built[0] == built[1]


async def test_installed_wheel_serves_creates_and_works(
    with_server: Environment, dsn: str, tmp_path: Path
) -> None:
    version = project_version(ROOT)
    assert await with_server.run("jobsvc", "--version", cwd=tmp_path) == (
        0,
        f"jobsvc {version}\n",
        "",
    )
    code, help_text, _ = await with_server.run("jobsvc", "--help", cwd=tmp_path)
    assert (code, "Serve jobs over gRPC" in help_text) == (0, True)
    (tmp_path / "sums.py").write_text(PROCESSOR)
    settings = {"JOBSVC_DSN": dsn, "JOBSVC_LISTEN": "127.0.0.1:0"}
    async with with_server.start("jobsvc", "serve", cwd=tmp_path, **settings) as server:
        assert server.stdout is not None
        ready = (await server.stdout.readline()).decode().strip()
        assert ready.startswith("jobsvc listening on ")
        target = ("--target", ready.rpartition(" ")[2])
        async with with_server.start("jobsvc", "work", "sums.py", *target, cwd=tmp_path) as worker:
            assert worker.stdout is not None
            assert b" subscribed to sums " in await worker.stdout.readline()
            create = ("create", "sums", '{"of": [19, 23]}', "--json", *target)
            created = (await with_server.run("jobsvc", *create, cwd=tmp_path))[1]
            job_id = json.loads(created)["id"]
            watched = await with_server.run("jobsvc", "watch", job_id, *target, cwd=tmp_path)
            assert (watched[0], watched[2]) == (0, "")
            got = await with_server.run("jobsvc", "get", job_id, "--json", *target, cwd=tmp_path)
            assert json.loads(got[1])["status"]["output"] == {"sum": 42}
            listed = await with_server.run(
                "jobsvc", "workers", "list", "--json", *target, cwd=tmp_path
            )
            assert f"jobsvc-python/{version}" in listed[1]
            worker.send_signal(signal.SIGTERM)
            assert await worker.wait() == 0
        server.send_signal(signal.SIGTERM)
        assert await server.wait() == 0
