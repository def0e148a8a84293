"""`jobsvc inspect`: a job of anybody, for whoever has the database."""

import json
from collections.abc import AsyncIterator

import pytest

from jobsvc.client import AsyncClient
from jobsvc.exit_code import ExitCode
from tests.e2e.support.command import complaint, run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch

SESSION = "s-inspected-4711"
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def job_id(stage: Stage) -> str:
    """A job of a session, in a queue without a worker."""
    server = await stage.serve()
    async with AsyncClient(server.target, session_id=SESSION) as client:
        await client.declare_queue("news")
        created = await client.create("news", {"url": "https://example.org"}, labels={"a": "b"})
    return created.id


async def test_job_of_a_session_is_shown_without_a_server(stage: Stage, job_id: str) -> None:
    done = run("inspect", job_id, JOBSVC_DSN=stage.dsn)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[:3]] == [
        ["job", job_id],
        ["queue", "news"],
        ["state", "PENDING"],
    ]
    assert "no worker is subscribed" in done.stdout
    assert '"url": "https://example.org"' in done.stdout
    assert SESSION not in done.stdout


async def test_json_is_that_of_get(stage: Stage, job_id: str) -> None:
    server = await stage.serve()
    words = ("get", job_id, "--json", "--session", SESSION)
    of_owner = run(*words, JOBSVC_TARGET=server.target)
    inspected = run("inspect", job_id, "--json", JOBSVC_DSN=stage.dsn)
    assert json.loads(inspected.stdout) == json.loads(of_owner.stdout)
    assert json.loads(inspected.stdout)["input"] == {"url": "https://example.org"}


async def test_role_that_only_reads_may_inspect(reader: str, job_id: str) -> None:
    done = run("inspect", job_id, JOBSVC_DSN=reader)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
async def reader(stage: Stage, job_id: str) -> AsyncIterator[str]:
    """The DSN of a role that reads."""
    await fetch(stage.dsn, "CREATE ROLE reader")
    await fetch(stage.dsn, "GRANT USAGE ON SCHEMA jobsvc TO reader")
    await fetch(stage.dsn, "GRANT SELECT ON ALL TABLES IN SCHEMA jobsvc TO reader")
    yield f"{stage.dsn}&options=-crole%3Dreader"
    await fetch(stage.dsn, "DROP OWNED BY reader")
    await fetch(stage.dsn, "DROP ROLE reader")


def test_why_nothing_is_shown_is_one_line(dsn: str, empty_dsn: str) -> None:
    missing = complaint(run("inspect", NOBODY, JOBSVC_DSN=dsn), ExitCode.FAILED)
    assert missing == f"job {NOBODY} does not exist"
    unfit = complaint(run("inspect", "{x}", JOBSVC_DSN=dsn), ExitCode.FAILED)
    assert "canonical" in unfit
    assert "names no database" in complaint(run("inspect", NOBODY))
    empty = complaint(run("inspect", NOBODY, JOBSVC_DSN=empty_dsn))
    assert "lacks the migration" in empty
    away = run("inspect", NOBODY, JOBSVC_DSN="postgresql://127.0.0.1:1/x")
    complaint(away, ExitCode.TEMPORARY)
