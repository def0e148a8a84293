"""The embedded PostgreSQL for the application: a DSN, and a watch that restarts the server."""

import asyncio
import logging
import math
import os
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from jobsvc.embedded import access, postmaster, process, sockets
from jobsvc.embedded.account import Account, account_for
from jobsvc.embedded.binaries import Binaries, find_binaries
from jobsvc.embedded.data_directory import DataDirectory, claim
from jobsvc.embedded.folder_size import folder_bytes
from jobsvc.embedded.initdb import ensure_pgdata
from jobsvc.embedded.unavailable import EmbeddedUnavailable

logger = logging.getLogger(__name__)

#: fsync, synchronous_commit and full_page_writes stay on: an acknowledged job is on disk.
#: wal_compression stays off: these binaries have no lz4, and pglz costs more than it saves.
SETTINGS = MappingProxyType(
    {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "shared_buffers": "128MB",
        "max_connections": "100",
        "max_wal_size": "4GB",
        "autovacuum_naptime": "10s",
        "jit": "off",
        "log_min_messages": "warning",
        "log_checkpoints": "off",
    }
)
RESTARTS = 5
FIRST_BACKOFF_SECONDS = 0.1
#: A postmaster that ended sooner is not started again at once.
SHORT_LIFE_SECONDS = 1.0


class EmbeddedPostgres:
    """A running PostgreSQL with a data directory of its own."""

    def __init__(
        self,
        data: DataDirectory,
        binaries: Binaries,
        account: Account | None,
        settings: Mapping[str, str],
        socket_folder: Path,
    ) -> None:
        """Does not start the server; `embedded_postgres` does."""
        self._data = data
        self._binaries = binaries
        self._account = account
        self._settings = settings
        self._socket_folder = socket_folder
        self._process: subprocess.Popen[bytes] | None = None
        #: Starts after it had ended unexpectedly.
        self.restarts = 0

    @property
    def dsn(self) -> str:
        """The DSN for asyncpg or psql. It stays the same when PostgreSQL restarts."""
        return sockets.dsn(self._socket_folder)

    @property
    def log(self) -> Path:
        """The log file of PostgreSQL. A start renames a file of more than 4 MB to `*.log.1`."""
        return self._data.log

    def size_bytes(self) -> int:
        """Returns the size of the data. Looking at each file takes a while: call it in a thread.

        Raises:
            OSError: the data cannot be looked at.
        """
        return folder_bytes(self._data.pgdata)

    async def start(self) -> None:
        """Stops the running PostgreSQL, starts a new one, and waits until it accepts connections.

        Raises:
            EmbeddedUnavailable: PostgreSQL does not start; the text says why.
        """
        await self.stop()
        locked = await postmaster.lock_when_free(self._data)
        try:
            access.secure(self._data.pgdata, self._account)
            offset = self._data.rotate_log()
            self._process = postmaster.start(
                self._data,
                self._binaries,
                self._account,
                self._settings,
                self._socket_folder,
                locked,
            )
        finally:
            os.close(locked)  # the child has inherited it
        await postmaster.until_ready(self._process, self._data, offset)

    async def watch(self) -> NoReturn:
        """Starts PostgreSQL again whenever it ends, with the same data and DSN. Never returns.

        Raises:
            EmbeddedUnavailable: five starts in a row failed.
        """
        began = -math.inf
        while True:
            assert self._process is not None, "watched before it was started"
            await process.exited(self._process)
            logger.error(
                "PostgreSQL ended unexpectedly (%d); starting it again", self._process.returncode
            )
            if time.monotonic() - began < SHORT_LIFE_SECONDS:
                await asyncio.sleep(SHORT_LIFE_SECONDS)
            await self._restart()
            self.restarts += 1
            began = time.monotonic()
            logger.warning("PostgreSQL is back")

    async def _restart(self) -> None:
        for failures in range(1, RESTARTS + 1):
            try:
                return await self.start()
            except (EmbeddedUnavailable, OSError) as error:
                if failures == RESTARTS:
                    raise EmbeddedUnavailable(
                        f"PostgreSQL could not be started again {RESTARTS} times: {error}"
                    ) from error
                logger.error("PostgreSQL does not start (%d of %d): %s", failures, RESTARTS, error)
            await asyncio.sleep(FIRST_BACKOFF_SECONDS * 2**failures)
        raise AssertionError("the last failure raises")

    async def stop(self) -> None:
        """Stops PostgreSQL in at most 15 s; committed data stay. Does nothing if it has ended."""
        if self._process is not None:
            await process.stop(self._process)


@asynccontextmanager
async def embedded_postgres(
    data_dir: Path, settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[EmbeddedPostgres]:
    """Runs a PostgreSQL on `data_dir` that ends with the context, and with this process.

    The first use of a directory makes it (about a second), with the database `jobsvc`; later
    uses find their data again. PostgreSQL listens on a unix socket that only this account can
    open. `settings`, by PostgreSQL's names, override `SETTINGS`. Durability is on.

    Enter it from the main thread, and run `watch()` while it is in use. On Linux, PostgreSQL
    ends within a second after a kill -9 of this process; elsewhere the next start ends it.
    Under root it runs under an account of its own, and only root can connect.

    Raises:
        EmbeddedUnavailable: PostgreSQL cannot be used; the text is one line that says why.
    """
    with claim(data_dir) as data:
        account = account_for(data.pgdata)
        binaries = find_binaries(account, data.root)
        effective = {**SETTINGS, **settings}
        await ensure_pgdata(data, binaries, account, effective)
        with sockets.socket_folder(data, account) as folder:
            server = EmbeddedPostgres(data, binaries, account, effective, folder)
            try:
                await server.start()
                yield server
            finally:
                await server.stop()
