"""`jobsvc migrate`, as whoever keeps the database runs it, and a server of a lesser role."""

import re
from collections.abc import AsyncIterator

import pytest

from jobsvc.store.migrate import move
from jobsvc.store.migration import read_migrations
from tests.e2e.support.command import complaint, run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch

NAMES = [migration.name for migration in read_migrations()]


@pytest.fixture
async def clerk(stage: Stage) -> AsyncIterator[str]:
    """The DSN of a role that may nothing yet."""
    await fetch(stage.dsn, "CREATE ROLE clerk")
    yield f"{stage.dsn}&options=-crole%3Dclerk"
    await fetch(stage.dsn, "DROP OWNED BY clerk")
    await fetch(stage.dsn, "DROP ROLE clerk")


def test_migrate_brings_a_database_up_to_date_once(empty_dsn: str) -> None:
    first = run("migrate", JOBSVC_DSN=empty_dsn)
    assert first.returncode == 0
    assert first.stdout.splitlines() == [f"applied {name}" for name in NAMES]
    again = run("migrate", JOBSVC_DSN=empty_dsn)
    assert (again.returncode, again.stdout) == (0, "up to date\n")


def test_migrate_needs_a_database() -> None:
    assert complaint(run("migrate")).startswith("JOBSVC_DSN names no database")


async def test_server_of_a_role_without_ddl_serves_jobs(stage: Stage, clerk: str) -> None:
    line = complaint(run("serve", JOBSVC_DSN=clerk))
    assert line.startswith("this role may not read the schema jobsvc: `jobsvc migrate --grant ")
    granted = run("migrate", "--grant", "clerk", JOBSVC_DSN=stage.dsn)
    assert re.fullmatch(r"granted \d+ rights to clerk\n", granted.stdout)
    checked = run("migrate", "--check", JOBSVC_DSN=clerk)
    assert (checked.returncode, checked.stdout) == (0, "nothing is missing\n")
    server = await stage.serve(dsn=clerk)
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        job_id = await caller.create("flaky")
        await caller.follow([job_id])
        assert (await stage.check(caller, [job_id]))[job_id].succeeded
    assert "jobsvc.store" not in server.stderr


async def test_check_says_what_is_missing_and_fails(stage: Stage, clerk: str) -> None:
    run("migrate", "--grant", "clerk", JOBSVC_DSN=stage.dsn)
    await fetch(stage.dsn, "REVOKE DELETE ON job, result FROM clerk")
    checked = run("migrate", "--check", JOBSVC_DSN=clerk)
    assert checked.returncode == 1
    cure = "`jobsvc migrate --grant clerk`, as the owner"
    assert sorted(checked.stdout.splitlines()) == [
        f"the role clerk lacks the right DELETE on {table}: {cure}"
        for table in ("jobsvc.job", "jobsvc.result")
    ]


def test_check_of_an_empty_database_names_every_migration(empty_dsn: str) -> None:
    checked = run("migrate", "--check", JOBSVC_DSN=empty_dsn)
    assert checked.returncode == 1
    assert checked.stdout.splitlines() == [
        f"the migration {name} is missing: `jobsvc migrate`, as the owner" for name in NAMES
    ]


@pytest.mark.parametrize("command", ["serve", "migrate"])
async def test_newer_schema_is_refused_in_one_line(stage: Stage, command: str) -> None:
    await fetch(stage.dsn, "INSERT INTO schema_migration VALUES ('9999_next')")
    line = complaint(run(command, JOBSVC_DSN=stage.dsn))
    assert line.startswith("the schema jobsvc is newer than this release (it has 9999_next)")


async def test_tables_of_an_older_release_are_moved_by_the_command_that_serve_names(
    stage: Stage,
) -> None:
    assert run(
        "migrate", "--move-from", "jobsvc", JOBSVC_DSN=stage.dsn, JOBSVC_SCHEMA="public"
    ).stdout
    line = complaint(run("serve", JOBSVC_DSN=stage.dsn))
    assert "`jobsvc migrate --move-from public` moves the tables to jobsvc" in line
    assert complaint(run("migrate", JOBSVC_DSN=stage.dsn)) == line
    moved = run("migrate", "--move-from", "public", JOBSVC_DSN=stage.dsn)
    assert moved.stdout == "moved from public to jobsvc\n"
    await stage.serve()


def test_check_is_given_alone(empty_dsn: str) -> None:
    done = run("migrate", "--check", "--grant", "clerk", JOBSVC_DSN=empty_dsn)
    assert done.returncode == 2
    assert "--check changes nothing" in done.stderr


async def test_embedded_database_of_an_older_release_is_moved_at_its_start(stage: Stage) -> None:
    server = await stage.serve(embedded=True)
    async with stage.calls(server.target) as caller:
        await caller.client.declare_queue("greet")
        job_id = await caller.create("greet", {"name": "Ada", "seconds": 0})
    await move(stage.embedded_dsn, "jobsvc", "public")
    server.terminate()
    assert await server.exited(60.0) == 0

    server = await stage.serve(embedded=True)
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        await caller.follow([job_id])
        assert (await caller.read([job_id]))[job_id].succeeded
    assert "moved the tables of jobsvc from the schema public to jobsvc" in server.stderr
