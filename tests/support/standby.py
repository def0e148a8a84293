"""Two real PostgreSQL servers of the binaries that come along, the second a standby."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg
import pytest

from jobsvc.embedded.account import Account, nobody
from jobsvc.embedded.binaries import find_binaries
from jobsvc.embedded.unavailable import EmbeddedUnavailable
from tests.support.probe import eventually

USER = "jobsvc"
#: It is there from the beginning.
DATABASE = "postgres"
_SETTINGS = {
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "40",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
    # One that is asked to wait must not be asked again while the test looks.
    "wal_sender_timeout": "0",
    "wal_receiver_status_interval": "1s",
    "wal_retrieve_retry_interval": "100ms",
    "autovacuum": "off",
}


class Server:
    """One PostgreSQL on a port of 127.0.0.1, whose superuser is everybody."""

    def __init__(
        self,
        programs: Path,
        account: Account | None,
        folder: Path,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """`settings` are PostgreSQL's, beside those of all tests."""
        self._settings = {**_SETTINGS, **settings}
        self._programs = programs
        self._account = account
        self._folder = folder
        self.data = folder / "data"
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port, as a DSN has them."""
        return f"127.0.0.1:{self.port}"

    @property
    def dsn(self) -> str:
        """The DSN of this server alone."""
        return f"postgresql://{USER}@{self.address}/{DATABASE}"

    def run(self, program: str, *arguments: str) -> None:
        """Runs one of PostgreSQL's programs on its data, to the end."""
        done = self.attempt(program, "-D", str(self.data), *arguments)
        assert done.returncode == 0, f"{program}: {done.returncode} {done.stderr}{done.stdout}"

    def attempt(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs one of PostgreSQL's programs to the end, whatever that is, in its own folder."""
        return subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            **{**self._as(), "cwd": self._folder},
        )

    async def start(self) -> None:
        """Starts it, and waits until it answers."""
        self._spawn()
        await eventually(self._answers, seconds=20, what=lambda: f"PostgreSQL: {self.log}")

    def _spawn(self) -> None:
        settings = [f"-c{name}={value}" for name, value in self._settings.items()]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, f"-p{self.port}", *settings],
                stdout=log,
                stderr=log,
                **self._as(),
            )

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self._folder / "log").read_text()

    async def execute(self, *statements: str) -> None:
        """Runs statements, each in a transaction of its own."""
        for statement in statements:
            await self.fetchval(statement)

    async def fetchval(self, statement: str) -> Any:
        """Runs one statement and returns its value. Waits for no standby."""
        connection = await asyncpg.connect(
            self.dsn, timeout=10, server_settings={"synchronous_commit": "local"}
        )
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        try:
            return await self.fetchval("SELECT true") is True
        except (OSError, asyncpg.PostgresError):
            return False

    async def receive(self, port: int | None) -> None:
        """Makes a standby follow the primary at `port`; None: nobody, it stays as far as it is."""
        source = f"host=127.0.0.1 port={port} user={USER}" if port else ""
        await self.execute(
            f"ALTER SYSTEM SET primary_conninfo = '{source}'", "SELECT pg_reload_conf()"
        )
        receivers = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'"

        async def is_done() -> bool:
            return await self.fetchval(receivers) == int(port is not None)

        await eventually(is_done, seconds=30)

    async def promote(self) -> None:
        """Makes a standby a primary."""
        assert await self.fetchval("SELECT pg_promote()") is True

    async def stop(self) -> None:
        """A fast shutdown: sessions end, and everything is written."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        await eventually(self._process.poll, lambda code: code == 0, seconds=20)
        self._process = None

    def kill(self) -> None:
        """kill -9 of the postmaster; its children notice."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _as(self) -> dict[str, Any]:
        if self._account is None:
            return {"cwd": "/"}
        uid, gid = self._account.uid, self._account.gid
        return {"user": uid, "group": gid, "extra_groups": [], "cwd": "/"}


class Pair:
    """A primary and its standby."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary = primary
        self.standby = standby

    @property
    def dsn(self) -> str:
        """The DSN of both, which wants the one that takes writes."""
        hosts = f"{self.primary.address},{self.standby.address}"
        return f"postgresql://{USER}@{hosts}/{DATABASE}?target_session_attrs=read-write"

    async def caught_up(self) -> None:
        """Waits until the standby has replayed everything."""
        now = await self.primary.fetchval("SELECT pg_current_wal_lsn()::text")
        behind = f"SELECT pg_last_wal_replay_lsn() >= '{now}'::pg_lsn"

        async def caught_up() -> bool:
            return await self.standby.fetchval(behind) is True

        await eventually(caught_up, seconds=30)

    async def cut(self) -> None:
        """Makes the standby receive nothing more."""
        await self.standby.receive(None)

    async def mend(self) -> None:
        """Makes the standby receive again."""
        await self.standby.receive(self.primary.port)

    async def waiting(self, count: int = 1) -> list[int]:
        """Waits until so many commits wait for the standby, and returns their processes."""
        pids = "SELECT array_agg(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"

        async def found() -> list[int]:
            return await self.primary.fetchval(pids) or []

        return await eventually(found, lambda some: len(some) == count, seconds=30)

    async def make_synchronous(self) -> None:
        """Makes every commit on the primary wait for the standby."""
        await self.primary.execute(
            "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
        )
        state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"

        async def is_synchronous() -> bool:
            return await self.primary.fetchval(state) == 1

        await eventually(is_synchronous, seconds=30)


@asynccontextmanager
async def pair() -> AsyncIterator[Pair]:
    """Runs a primary and a standby that streams from it. Skips the test without the binaries."""
    with _servers() as (primary, standby):
        to_primary = ["-h127.0.0.1", f"-p{primary.port}", f"-U{USER}"]
        quick = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync"]
        primary.run(
            "initdb", f"-U{USER}", "-EUTF8", "--locale=C.UTF-8", "--no-sync", "--auth=trust"
        )
        await primary.start()
        # It reads what a server of another process sends: this loop need not run.
        standby.run("pg_basebackup", *to_primary, *quick)
        await standby.start()
        yield Pair(primary, standby)


@contextmanager
def _servers() -> Iterator[list[Server]]:
    account = nobody() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="jobsvc-pair-"))
    folder.chmod(0o711)
    servers: list[Server] = []
    try:
        try:
            programs = find_binaries(account, folder).folder
        except EmbeddedUnavailable as error:
            pytest.skip(f"{error}")
        if not (programs / "pg_basebackup").exists():
            pytest.skip("pg_basebackup does not come along")
        for name in ("primary", "standby"):
            own = folder / name
            own.mkdir()
            if account:
                account.own(own)
            servers.append(Server(programs, account, own))
        yield servers
    finally:
        for server in servers:
            server.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
