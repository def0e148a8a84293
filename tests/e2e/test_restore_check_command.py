"""`jobsvc restore-check`, as whoever has restored a database runs it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from jobsvc.embedded.binaries import find_binaries
from jobsvc.exit_code import ExitCode
from tests.e2e.support.command import complaint, run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch

pytestmark = pytest.mark.xdist_group("e2e")


async def test_check_says_in_words_what_it_would_do_and_then_did(stage: Stage) -> None:
    server = await stage.serve()
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("greet")
        await caller.create("greet", {"name": "Ada"})
    server.terminate()
    assert await server.exited(60.0) == 0

    dry = run("restore-check", "--dry-run", JOBSVC_DSN=stage.dsn)
    assert dry.returncode == ExitCode.FAILED
    assert dry.stdout.splitlines()[2:] == [
        "would raise the versions of 1 job by 1000000, above all that anybody has seen",
        "would set the sequence of schema ids to 1000001",
    ]
    done = run("restore-check", "--json", JOBSVC_DSN=stage.dsn)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["changed"] is True
    assert told["found"]["waiting"] == 1
    assert [line.split()[0] for line in told["repairs"]] == ["raised", "set"]
    again = run("restore-check", "--dry-run", JOBSVC_DSN=stage.dsn)
    assert again.returncode == 0
    assert again.stdout.splitlines()[-1].endswith("nothing to do")


async def test_embedded_database_is_copied_back_and_checked_while_nobody_serves(
    stage: Stage,
) -> None:
    server = await stage.serve(embedded=True)
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("greet")
        job_id = await caller.create("greet", {"name": "Ada"})
    where = {"JOBSVC_DATA_DIR": str(stage.data_dir)}
    assert "in use by another server" in complaint(
        run("restore-check", **where), ExitCode.TEMPORARY
    )
    assert job_id in _dump(stage.data_dir)
    server.terminate()
    assert await server.exited(60.0) == 0
    copy = stage.folder / "copy"
    shutil.copytree(stage.data_dir, copy)
    shutil.rmtree(stage.data_dir)
    shutil.copytree(copy, stage.data_dir)

    done = run("restore-check", **where)
    assert (done.returncode, "of 1 job by" in done.stdout) == (0, True), done.stderr
    await stage.serve(embedded=True)
    (row,) = await fetch(stage.embedded_dsn, "SELECT version FROM waiting")
    assert row["version"] > 1_000_000


def test_database_without_tables_is_refused(empty_dsn: str) -> None:
    line = complaint(run("restore-check", JOBSVC_DSN=empty_dsn))
    assert line.endswith("lacks the migration 0001_jobs: run `jobsvc migrate` first")


def _dump(data_dir: Path) -> str:
    """A dump of the embedded database, by the account that runs the server."""
    programs = find_binaries(None, data_dir).folder
    done = subprocess.run(
        [programs / "pg_dump", "-h", data_dir / "run", "-Ujobsvc", "-njobsvc", "jobsvc"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
