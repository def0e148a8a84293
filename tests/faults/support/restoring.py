"""Ways to back a PostgreSQL up at a moment, lose it, and restore it."""

import shutil
from datetime import datetime
from pathlib import Path

from tests.support.clusters import INITDB, Clusters
from tests.support.probe import eventually
from tests.support.standby import USER, Server

#: The columns of docs/operations/backup.md.
METHODS = ("dump", "point in time", "base backup")


class Backup:
    """A server that is backed up by one of METHODS."""

    def __init__(self, clusters: Clusters, method: str) -> None:
        self.method = method
        self._clusters = clusters
        self._archive = clusters.subfolder("archive")
        self.server = clusters.new("lost", settings=self._archiving())
        self._restored = clusters.new("restored", settings=self._archiving())
        self._moment: datetime | None = None

    async def begin(self) -> None:
        """Starts the server."""
        self.server.run("initdb", *INITDB)
        await self.server.start()
        if self.method == "point in time":
            self._copy()

    async def take(self, *options: str) -> None:
        """Backs up what is committed now: nothing of later is restored. Options are pg_dump's."""
        if self.method == "dump":
            self._do(
                self.server,
                "pg_dump",
                "-Fc",
                "-njobsvc",
                f"-f{self.dump}",
                *options,
                self.server.dsn,
            )
        elif self.method == "base backup":
            self._copy()
        else:
            self._moment = await self.server.fetchval("SELECT clock_timestamp()")

    async def lose(self) -> None:
        """The server is gone for good. What its last WAL has was in no archive."""
        self.server.kill()
        if self.method == "point in time":
            for file in (self.server.data / "pg_wal").glob("0*"):
                if not (self._archive / file.name).exists():
                    shutil.copy(file, self._archive)
                    self._clusters.give(self._archive / file.name)

    async def restore(self, port: int | None = None) -> Server:
        """Starts what was backed up as another server, on a port of its own by default."""
        server = self._restored
        server.port = port or server.port
        if self.method == "dump":
            server.run("initdb", *INITDB)
            await server.start()
            self._do(server, "pg_restore", "--exit-on-error", f"-d{server.dsn}", str(self.dump))
            return server
        if self.method == "point in time":
            self._clusters.append(server.data / "recovery.signal")
            self._clusters.append(
                server.data / "postgresql.conf",
                f"restore_command = 'cp {self._archive}/%f %p'",
                f"recovery_target_time = '{self._moment}'",
                "recovery_target_action = 'promote'",
            )
        await server.start()
        await eventually(lambda: self._takes_writes(server), seconds=20)
        return server

    @property
    def dump(self) -> Path:
        """The file of the dump."""
        return self._archive / "dump"

    def text_of_dump(self) -> str:
        """The dump as SQL."""
        return self._do(self.server, "pg_restore", "-f-", str(self.dump))

    def _copy(self) -> None:
        to_server = ["-h127.0.0.1", f"-p{self.server.port}", f"-U{USER}"]
        self._restored.run("pg_basebackup", *to_server, "--checkpoint=fast", "--no-sync")

    def _archiving(self) -> dict[str, str]:
        copy = f"test ! -f {self._archive}/%f && cp %p {self._archive}/%f"
        if self.method != "point in time":
            return {}
        return {"archive_mode": "on", "archive_command": copy}

    async def _takes_writes(self, server: Server) -> bool:
        return await server.fetchval("SELECT NOT pg_is_in_recovery()") is True

    def _do(self, server: Server, program: str, *arguments: str) -> str:
        done = server.attempt(program, *arguments)
        assert done.returncode == 0, f"{program}: {done.stderr}"
        return done.stdout
