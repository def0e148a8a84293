"""A start finds its data again, or says in one line why it fails."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil
import pytest

from jobsvc.embedded import EmbeddedUnavailable, embedded_postgres
from jobsvc.embedded.account import Account, account_for
from jobsvc.embedded.binaries import find_binaries
from jobsvc.embedded.data_directory import MAX_LOG_BYTES
from jobsvc.embedded.initdb import DRAFT_PREFIX, reachable
from tests.support.probe import blocking_eventually

FAST = {"fsync": "off"}


def in_it(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


async def execute(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_data_survive_a_restart(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path, FAST) as server:
        await execute(server.dsn, "CREATE TABLE kept AS SELECT 42 AS n")
    async with embedded_postgres(tmp_path, FAST) as server:
        assert await execute(server.dsn, "SELECT n FROM kept") == 42


async def test_durability_is_on_unless_asked_otherwise(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path) as server:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            assert await execute(server.dsn, f"SHOW {name}") == "on"


async def test_only_this_account_can_connect(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path, FAST) as server:
        assert await execute(server.dsn, "SHOW listen_addresses") == ""
        assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


async def test_nothing_runs_after_the_end(
    tmp_path: Path, postmaster_pid: Callable[[Path], int]
) -> None:
    async with embedded_postgres(tmp_path, FAST):
        postmaster = psutil.Process(postmaster_pid(tmp_path))
        processes = [postmaster, *postmaster.children(recursive=True)]
    assert len(processes) > 3
    assert not [p for p in processes if p.is_running()]


async def test_a_second_server_is_refused(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path, FAST) as server:
        with pytest.raises(EmbeddedUnavailable, match=f"in use by another .*pid {os.getpid()}"):
            async with embedded_postgres(tmp_path, FAST):
                pass
        assert await execute(server.dsn, "SELECT 1") == 1


def start_by_hand(pgdata: Path) -> subprocess.Popen[bytes]:
    account = account_for(pgdata)
    folder = os.open(pgdata, os.O_RDONLY)
    process = subprocess.Popen(
        [
            find_binaries(account, pgdata.parent).postgres,
            *("-D", reachable(folder, pgdata, account), "-k", "."),
            *("-c", "listen_addresses=", "-c", "fsync=off"),
        ],
        user=account.uid if account else None,
        pass_fds=[folder],
        stderr=subprocess.DEVNULL,
    )
    os.close(folder)
    status = pgdata / "postmaster.pid"

    def is_ready() -> bool:
        assert process.poll() is None
        return status.exists() and "ready" in status.read_text()

    blocking_eventually(is_ready, what="a server that is ready")
    return process


async def test_a_server_started_by_hand_is_left_alone(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path, FAST):
        pass
    with start_by_hand(tmp_path / "pgdata") as by_hand:
        try:
            with pytest.raises(EmbeddedUnavailable, match=f"in use by another .*{by_hand.pid}"):
                async with embedded_postgres(tmp_path, FAST):
                    pass
            assert by_hand.poll() is None
        finally:
            by_hand.send_signal(signal.SIGINT)


async def test_data_of_another_version_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pgdata").mkdir()
    (tmp_path / "pgdata" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedUnavailable, match=r"PostgreSQL 16, .* PostgreSQL 18"):
        async with embedded_postgres(tmp_path):
            pass


async def test_a_folder_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pgdata").mkdir()
    with pytest.raises(EmbeddedUnavailable, match="holds no PostgreSQL data"):
        async with embedded_postgres(tmp_path):
            pass


async def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedUnavailable, match="cannot write to the data directory"):
        async with embedded_postgres(tmp_path / "file" / "data"):
            pass


async def test_a_failed_start_quotes_postgres_and_names_its_log(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedUnavailable, match=r'FATAL: .*"nonsense".*postgres\.log$'):
        async with embedded_postgres(tmp_path, {"fsync": "off", "nonsense": "1"}):
            pass
    assert not in_it(tmp_path, "pgdata*")


async def test_a_missing_package_is_named(tmp_path: Path, serve: Callable[..., object]) -> None:
    source = Path(__file__).parents[2] / "src"
    process = serve(tmp_path, options=("-S",), path=(source,))
    assert isinstance(process, subprocess.Popen)
    _, errors = process.communicate(timeout=30)
    assert "JOBSVC_DSN" in errors.splitlines()[-1]
    assert "pip install 'jobsvc[embedded]'" in errors.splitlines()[-1]


@pytest.mark.parametrize("name", ["x" * 120, "a b,c%20'é"])
async def test_any_path_will_do(tmp_path: Path, name: str) -> None:
    async with embedded_postgres(tmp_path / name, FAST) as server:
        assert await execute(server.dsn, "SELECT 1") == 1


async def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    (tmp_path / "postgres.log").write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    async with embedded_postgres(tmp_path, FAST) as server:
        assert 0 < server.log.stat().st_size < MAX_LOG_BYTES
    assert (tmp_path / "postgres.log.1").stat().st_size == MAX_LOG_BYTES + 1


async def test_first_start_killed_midway_does_no_harm(
    tmp_path: Path, serve: Callable[..., subprocess.Popen[str]]
) -> None:
    for number in range(10):
        folder = tmp_path / str(number)
        process = serve(folder)
        while not (in_it(folder, DRAFT_PREFIX + "*/PG_VERSION") or (folder / "pgdata").exists()):
            assert process.poll() is None
            await asyncio.sleep(0.002)  # Between two tries, shorter than what must not be missed.
        process.kill()
        process.wait()
        if not (folder / "pgdata").exists():
            break
    else:
        pytest.fail("killed too late every time")
    async with embedded_postgres(folder, FAST) as server:
        assert await execute(server.dsn, "SELECT 1") == 1
    assert not in_it(folder, DRAFT_PREFIX + "*")


def stranger_like(account: Account | None) -> subprocess.Popen[bytes]:
    """A process that PostgreSQL would mistake for a live server: it has the same account."""
    return subprocess.Popen(["sleep", "60"], user=account.uid if account else None)


async def test_a_left_over_pid_that_was_given_out_again_does_not_matter(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path, FAST):
        pass
    with stranger_like(account_for(tmp_path / "pgdata")) as stranger:
        for name in ("pgdata/postmaster.pid", "run/.s.PGSQL.5432.lock"):
            (tmp_path / name).write_text(f"{stranger.pid}\n/\n1\n5432\n\n\n\nready\n")
            (tmp_path / name).chmod(0o644)
        try:
            async with embedded_postgres(tmp_path, FAST) as server:
                assert await execute(server.dsn, "SELECT 1") == 1
        finally:
            stranger.kill()
