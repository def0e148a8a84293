"""PgBouncer as people put it before a database."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

import asyncpg
import pytest

from tests.support.probe import eventually

_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
#: Another one than the system's: PGBOUNCER=/path/to/pgbouncer.
_PROGRAM = os.environ.get("PGBOUNCER", "pgbouncer")
_PORT = 6432
_CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_port = 6432
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
admin_users = {user}
"""


class PgBouncer:
    """A PgBouncer with one pool for each database."""

    def __init__(self, program: str, dsn: str, folder: Path, settings: Mapping[str, object]):
        """Passes clients on to the server of `dsn`; `settings` are of the configuration."""
        parts = urlsplit(dsn)
        place = {name: values[0] for name, values in parse_qs(parts.query).items()}
        #: What to connect to instead of the database.
        self.dsn = urlunsplit(parts._replace(query=f"host={folder}&port={_PORT}"))
        self._program = program
        self._folder = folder
        self._owner = Path(place["host"]).stat()
        more = "".join(f"{name} = {value}\n" for name, value in settings.items())
        text = _CONFIGURATION.format(folder=folder, user=parts.username, **place)
        (folder / "ini").write_text(text + more)
        (folder / "users").write_text(f'"{parts.username}" ""\n')
        os.chown(folder, self._owner.st_uid, self._owner.st_gid)
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Runs it, as the owner of the database's socket, since it refuses root."""
        self._run()
        await eventually(self._listens, seconds=30, what=lambda: f"PgBouncer: {self.log}")

    def _run(self) -> None:
        owner = self._owner if os.geteuid() == 0 else None
        for left in self._folder.glob(".s.PGSQL.*"):
            left.unlink()
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, self._folder / "ini"],
                stdout=log,
                stderr=log,
                user=owner and owner.st_uid,
                group=owner and owner.st_gid,
                extra_groups=owner and [],
            )

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return "process up" in self.log

    def kill(self) -> None:
        """kill -9, and sees it dead."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)

    @property
    def log(self) -> str:
        """What it has logged since its start."""
        return (self._folder / "log").read_text()


def version() -> tuple[int, ...]:
    """The version of PgBouncer. Skips the test where it is not installed."""
    program = _find()
    says = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"PgBouncer (\d+)\.(\d+)", says.stdout)
    assert found is not None
    return tuple(map(int, found.groups()))


def _find() -> str:
    program = shutil.which(_PROGRAM, path=_PATH)
    if program is None:
        pytest.skip("pgbouncer is not installed")
    return program


@asynccontextmanager
async def pgbouncer(dsn: str, **settings: object) -> AsyncIterator[PgBouncer]:
    """Runs PgBouncer before the server of `dsn`. Skips the test where it is not installed."""
    program = _find()
    if "JOBSVC_TEST_DSN" in os.environ:
        pytest.skip("PgBouncer runs before the PostgreSQL that comes along")
    await _let_in(dsn)
    # Short: the path of a unix socket has to fit below it.
    folder = Path(tempfile.mkdtemp(prefix="jobsvc-pgb-"))
    running = PgBouncer(program, dsn, folder, settings)
    try:
        await running.start()
        yield running
    finally:
        running.kill()
        shutil.rmtree(folder, ignore_errors=True)


async def _let_in(dsn: str) -> None:
    """Lets the owner of the socket connect, which only root could."""
    [folder] = parse_qs(urlsplit(dsn).query)["host"]
    data = Path(folder).parent
    data.chmod(0o711)
    (data / "pgdata" / "pg_hba.conf").write_text("local all all trust\n")
    connection = await asyncpg.connect(dsn)
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
