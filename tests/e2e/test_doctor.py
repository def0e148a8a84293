"""`jobsvc doctor`, as an operator runs it beside servers: fault 35."""

import json
from pathlib import Path

import pytest

from jobsvc.exit_code import ExitCode
from tests.e2e.support.command import complaint, run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch

pytestmark = pytest.mark.xdist_group("e2e")


async def test_doctor_names_rows_that_were_changed_by_hand(stage: Stage) -> None:
    server = await stage.serve()
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        lost, kept = [await caller.create("flaky") for _ in range(2)]
        await caller.follow([lost, kept])
    healthy = run("doctor", JOBSVC_DSN=stage.dsn)
    assert (healthy.returncode, healthy.stdout) == (0, "nothing is wrong\n")

    await fetch(stage.dsn, "DELETE FROM result WHERE job_id = $1", lost)
    await fetch(stage.dsn, "DELETE FROM job WHERE id = $1", kept)
    found = run("doctor", JOBSVC_DSN=stage.dsn)
    assert found.returncode == 1
    nowhere, orphans = found.stdout.splitlines()
    assert nowhere.startswith("1 job in neither waiting, lease nor result: ")
    assert nowhere.endswith(f" ({lost})")
    assert orphans.startswith("2 rows without their job: ")
    assert orphans.endswith(f" (attempt {kept}, result {kept})")

    as_json = run("doctor", "--json", JOBSVC_DSN=stage.dsn)
    assert as_json.returncode == 1
    assert [(one["kind"], one["number"]) for one in json.loads(as_json.stdout)] == [
        ("job_nowhere", 1),
        ("orphan", 2),
    ]


async def test_doctor_of_a_role_without_rights_names_them(stage: Stage) -> None:
    await fetch(stage.dsn, "CREATE ROLE stranger")
    try:
        found = run("doctor", JOBSVC_DSN=f"{stage.dsn}&options=-crole%3Dstranger")
    finally:
        await fetch(stage.dsn, "DROP ROLE stranger")
    assert found.returncode == 1
    assert found.stdout.startswith("this role may not read the schema jobsvc: ")


async def test_doctor_of_an_empty_database_names_what_is_missing(empty_dsn: str) -> None:
    found = run("doctor", JOBSVC_DSN=empty_dsn)
    assert found.returncode == 1
    assert found.stdout.splitlines()[0] == "the migration 0001_jobs is missing"


def test_doctor_without_a_database_says_so() -> None:
    done = run("doctor", JOBSVC_DSN="postgresql://127.0.0.1:1/nothing")
    assert done.returncode == 75
    assert "no database listens at" in done.stderr


@pytest.mark.parametrize("command", ["doctor", "restore-check"])
def test_database_that_is_not_there_is_not_made(command: str, tmp_path: Path) -> None:
    folder = tmp_path / "misspelt"
    done = run(command, JOBSVC_DATA_DIR=str(folder))
    assert "there is none in JOBSVC_DATA_DIR" in complaint(done, ExitCode.CONFIGURATION)
    assert not folder.exists()
