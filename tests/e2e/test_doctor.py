"""`jobsvc doctor`, as an operator runs it beside servers: fault 35."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from jobsvc.auth.dev_certs import Authority
from jobsvc.exit_code import ExitCode
from tests.e2e.support.command import complaint, run
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch
from tests.support.certificates import HOST, files_in

pytestmark = pytest.mark.xdist_group("e2e")

_HEALTHY = """\
is work flowing?             yes
are jobs succeeding?         yes
can the numbers be trusted?  yes

nothing is wrong
"""


def lines(stdout: str) -> list[str]:
    """What is found; without what is true of every PostgreSQL of the tests, and without a server
    where none was started."""
    _, _, found = stdout.partition("\n\n")
    usual = ("[not_durable]", "[no_server]")
    return [line for line in found.splitlines() if not line.endswith(usual)]


async def test_nothing_is_wrong_after_a_day_of_work(stage: Stage) -> None:
    server = await stage.serve(embedded=True)
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        await caller.follow([await caller.create("flaky")])
    healthy = run("doctor", "--target", server.target, JOBSVC_DSN=stage.embedded_dsn)
    assert (healthy.stdout, healthy.returncode) == (_HEALTHY, 0)


async def test_doctor_names_rows_that_were_changed_by_hand(stage: Stage) -> None:
    server = await stage.serve()
    await stage.work(server.target)
    async with stage.calls(server.target) as caller:
        lost, kept = [await caller.create("flaky") for _ in range(2)]
        await caller.follow([lost, kept])
    healthy = run("doctor", JOBSVC_DSN=stage.dsn)
    assert lines(healthy.stdout) == []

    await fetch(stage.dsn, "DELETE FROM result WHERE job_id = $1", lost)
    await fetch(stage.dsn, "DELETE FROM job WHERE id = $1", kept)
    found = run("doctor", JOBSVC_DSN=stage.dsn)
    assert found.returncode == 1
    assert "can the numbers be trusted?  no\n" in found.stdout
    nowhere, orphans = lines(found.stdout)
    assert nowhere.startswith("wrong: 1 job in neither waiting, lease nor result: ")
    assert nowhere.endswith(f" ({lost}) [job_nowhere]")
    assert orphans.startswith("wrong: 2 rows without their job: ")
    assert orphans.endswith(f" (attempt {kept}, result {kept}) [orphan]")

    as_json = run("doctor", "--json", JOBSVC_DSN=stage.dsn)
    assert as_json.returncode == 1
    report = json.loads(as_json.stdout)
    assert report["wrong"]
    assert report["answers"]["trusted"] == "no"
    assert [
        (one["kind"], one["number"]) for one in report["findings"] if one["kind"] != "not_durable"
    ] == [("job_nowhere", 1), ("orphan", 2)]


async def test_warnings_are_told_with_exit_code_0(stage: Stage) -> None:
    server = await stage.serve(embedded=True)
    await fetch(stage.embedded_dsn, "INSERT INTO queue (name, paused) VALUES ('flaky', true)")
    async with stage.calls(server.target) as caller:
        await caller.create("flaky")
    found = run("doctor", JOBSVC_DSN=stage.embedded_dsn)
    assert (found.returncode, "is work flowing?             yes, but" in found.stdout) == (0, True)
    (line,) = lines(found.stdout)
    assert line.startswith("warning: ready jobs in 1 of the queues that are paused: ")


async def test_server_that_does_not_answer_is_told(stage: Stage) -> None:
    found = run("doctor", "--target", "127.0.0.1:1", JOBSVC_DSN=stage.dsn)
    assert found.returncode == 1
    (line,) = lines(found.stdout)
    assert line.startswith("wrong: the server at 127.0.0.1:1 does not serve (")


@pytest.mark.parametrize(
    ("life", "text"),
    [
        (timedelta(minutes=-1), "ended 0 hours ago, so nobody can connect: "),
        (timedelta(minutes=1), "ends in 0 hours, and nobody can connect from then on: "),
    ],
)
async def test_certificate_that_ends_is_told(
    stage: Stage, tmp_path: Path, life: timedelta, text: str
) -> None:
    files, authority = files_in(tmp_path), Authority()
    certificate, key = authority.sign("server", HOST, is_server=True, life=life)
    files.certificate.write_bytes(certificate)
    files.key.write_bytes(key)
    files.client_ca.write_bytes(authority.certificate)
    named = {"JOBSVC_TLS_CERT": f"{files.certificate}", "JOBSVC_TLS_KEY": f"{files.key}"}
    has_ended = life < timedelta(0)
    found = run("doctor", JOBSVC_DSN=stage.dsn, **named)
    severity, kind = ("wrong", "invalid") if has_ended else ("warning", "ends")
    (line,) = lines(found.stdout)
    assert line.startswith(f"{severity}: the certificate in JOBSVC_TLS_CERT ({files.certificate}) ")
    assert text in line
    assert line.endswith(f" [certificate_{kind}]")

    server = await stage.serve(tls_cert=files.certificate, tls_key=files.key)
    options = ("--target", server.target, "--ca", f"{files.client_ca}")
    shown = lines(run("doctor", *options, JOBSVC_DSN=stage.dsn).stdout)
    assert any(s.startswith(f"{severity}: the certificate that {server.target}") for s in shown)


async def test_files_and_names_of_settings_that_are_wrong_are_told(
    stage: Stage, tmp_path: Path
) -> None:
    files = files_in(tmp_path)
    files.write(Authority())
    files.key.write_bytes(b"no key")
    found = run(
        "doctor",
        "--json",
        JOBSVC_DSN=stage.dsn,
        JOBSVC_TLS_CERT=f"{files.certificate}",
        JOBSVC_TLS_KEY=f"{files.key}",
        JOBSVC_POOL_SIZ="4",
        JOBSVC_INITIAL_BACKOFF_SECONDS="700",
    )
    assert found.returncode == 1
    told = {one["kind"]: one for one in json.loads(found.stdout)["findings"]}
    assert "JOBSVC_TLS_KEY" in told["file_unusable"]["text"]
    assert "JOBSVC_POOL_SIZ (rather JOBSVC_POOL_SIZE?)" in told["setting_unknown"]["text"]
    assert told["settings_contradict"]["number"] == 1
    assert told["settings_contradict"]["severity"] == "warning"


async def test_doctor_of_a_role_without_rights_names_them(stage: Stage) -> None:
    await fetch(stage.dsn, "CREATE ROLE stranger")
    try:
        found = run("doctor", JOBSVC_DSN=f"{stage.dsn}&options=-crole%3Dstranger")
    finally:
        await fetch(stage.dsn, "DROP ROLE stranger")
    assert found.returncode == 1
    assert lines(found.stdout)[0].startswith("wrong: this role may not read the schema jobsvc: ")


async def test_doctor_of_an_empty_database_names_what_is_missing(empty_dsn: str) -> None:
    found = run("doctor", JOBSVC_DSN=empty_dsn)
    assert found.returncode == 1
    assert lines(found.stdout)[0] == (
        "wrong: the migration 0001_jobs is missing: `jobsvc migrate`, as the owner [not_ready]"
    )


async def test_doctor_of_a_database_with_another_encoding_says_so(stage: Stage) -> None:
    await fetch(
        stage.dsn,
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    )
    name = stage.dsn.partition("?")[0].rpartition("/")[2]
    try:
        done = run("doctor", JOBSVC_DSN=stage.dsn.replace(f"/{name}?", "/latin?"))
    finally:
        await fetch(stage.dsn, "DROP DATABASE latin WITH (FORCE)")
    assert "the database stores texts as LATIN1" in complaint(done, ExitCode.CONFIGURATION)


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
