"""A failed start says its cause in one clear line, and the exit code is not zero."""

import socket
from pathlib import Path

import pytest

from jobsvc.exit_code import ExitCode
from tests.e2e.support.command import complaint, run
from tests.e2e.support.processes import Server
from tests.e2e.support.stage import Stage
from tests.e2e.support.tables import fetch


def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_port_in_use(dsn: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = complaint(run("serve", JOBSVC_DSN=dsn, JOBSVC_LISTEN=address), ExitCode.TEMPORARY)
    assert line.startswith(f"cannot listen on {address}")


async def test_port_of_another_jobsvc(stage: Stage) -> None:
    server = await stage.serve()
    line = complaint(
        run("serve", JOBSVC_DSN=stage.dsn, JOBSVC_LISTEN=server.target), ExitCode.TEMPORARY
    )
    assert line.startswith(f"cannot listen on {server.target}")


async def test_data_directory_in_use(stage: Stage) -> None:
    server = await stage.serve(embedded=True)
    line = complaint(run("serve", JOBSVC_DATA_DIR=str(stage.data_dir)), ExitCode.TEMPORARY)
    assert line == (
        f"the data directory {stage.data_dir} is in use by another server (pid {server.pid})"
    )


def test_data_of_another_postgresql_version(tmp_path: Path) -> None:
    pgdata = tmp_path / "pgdata"
    pgdata.mkdir()
    (pgdata / "PG_VERSION").write_text("12\n")
    line = complaint(run("serve", JOBSVC_DATA_DIR=str(tmp_path)))
    assert line.startswith(f"{pgdata} holds data of PostgreSQL 12, but the embedded one is ")


@pytest.mark.parametrize("command", [["serve", "--wait", "0"], ["migrate"]])
def test_database_that_is_not_there(command: list[str]) -> None:
    port = closed_port()
    dsn = f"postgresql://jobsvc:secret@127.0.0.1:{port}/jobs"
    line = complaint(run(*command, JOBSVC_DSN=dsn), ExitCode.TEMPORARY)
    assert line == f"no database listens at 127.0.0.1:{port} (connection refused)"


@pytest.mark.parametrize("command", [["serve", "--wait", "0"], ["migrate"]])
def test_database_without_that_name(command: list[str], postgres: str) -> None:
    line = complaint(
        run(*command, JOBSVC_DSN=postgres.replace("/jobsvc?", "/nobodys?")), ExitCode.TEMPORARY
    )
    assert line == 'the database does not exist: database "nobodys" does not exist'


async def test_database_in_which_we_may_make_no_tables(empty_dsn: str, postgres: str) -> None:
    await fetch(postgres, "CREATE ROLE guest")
    try:
        line = complaint(run("migrate", JOBSVC_DSN=f"{empty_dsn}&options=-crole%3Dguest"))
    finally:
        await fetch(postgres, "DROP ROLE guest")
    assert line.startswith("the schema jobsvc lacks the migration 0001_jobs, and this role may not")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LEASE_SECONDS", "soon", "JOBSVC_LEASE_SECONDS: 'soon' is not a float"),
        ("LEASE_SECONDS", "5", "JOBSVC_LEASE_SECONDS is 5, but must be at least 3 x extend"),
        ("ATTEMPT_TIMEOUT_SECONDS", "9", "JOBSVC_ATTEMPT_TIMEOUT_SECONDS is 9, but must be"),
        ("MAX_ATTEMPTS", "-1", "JOBSVC_MAX_ATTEMPTS must "),
        ("LISTEN", "here", "JOBSVC_LISTEN must be HOST:PORT, not 'here'"),
        ("LISTEN", "127.0.0.1:70000", "JOBSVC_LISTEN: the port must be between 0 and 65535"),
        ("DSN", "postgresql://h/d?sslmode=never", "JOBSVC_DSN: "),
        (
            "DSN",
            "postgresql://h/d?sslrootcert=/none&sslmode=verify-full",
            "JOBSVC_DSN names a file",
        ),
        ("DSN", "mysql://127.0.0.1/jobs", "JOBSVC_DSN names mysql; jobsvc works on PostgreSQL"),
        ("LOG_LEVEL", "chatty", "JOBSVC_LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, "),
    ],
)
def test_bad_setting(name: str, value: str, said: str) -> None:
    assert complaint(run("serve", **{f"JOBSVC_{name}": value})).startswith(said)


def test_unknown_setting_is_a_warning() -> None:
    done = run("--version", JOBSVC_LEASE_SECOND="5")
    assert (done.returncode, done.stderr) == (
        0,
        "jobsvc: warning: no such setting: JOBSVC_LEASE_SECOND (rather JOBSVC_LEASE_SECONDS?)\n",
    )


def test_address_beyond_loopback_needs_a_word(dsn: str) -> None:
    line = complaint(run("serve", "--listen", "0.0.0.0:0", JOBSVC_DSN=dsn))
    assert line.startswith("0.0.0.0 is not loopback")
    assert "--insecure" in line


async def test_insecure_listens_beyond_loopback_and_says_so(stage: Stage) -> None:
    # Loopback, spelled as the check does not know it: the test opens no port to others.
    options = ["jobsvc", "serve", "--listen", "127.1:0", "--insecure"]
    server = Server(options, stage.folder / "insecure", {"JOBSVC_DSN": stage.dsn})
    try:
        await server.ready()
        assert "WARNING jobsvc: listening on 127.1 without authentication" in server.stderr
        async with stage.calls(server.target) as caller:
            await caller.client.declare_queue("nap")
    finally:
        server.kill()


async def test_path_needs_no_word_and_serves_commands_too(stage: Stage) -> None:
    listen = f"unix:{stage.folder / 'jobs.sock'}"
    server = Server(
        ["jobsvc", "serve"],
        stage.folder / "at-path",
        {"JOBSVC_DSN": stage.dsn, "JOBSVC_LISTEN": listen},
    )
    try:
        await server.says(60.0, f"jobsvc listening on {listen}\n")
        done = run("health", JOBSVC_TARGET=listen)
        assert (done.returncode, done.stdout) == (0, "SERVING\n")
    finally:
        server.kill()
