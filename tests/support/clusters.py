"""Any number of PostgreSQL servers in one folder, of the binaries that come along or of others."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from jobsvc.embedded.account import Account, nobody
from jobsvc.embedded.binaries import find_binaries
from jobsvc.embedded.unavailable import EmbeddedUnavailable
from tests.support.standby import USER, Server

#: As the servers of other tests are made.
INITDB = ("-EUTF8", "--locale=C.UTF-8", "--no-sync", "--auth=trust", f"-U{USER}")


class Clusters:
    """Makes servers, and kills them all at the end."""

    def __init__(self, folder: Path, programs: Path, account: Account | None) -> None:
        #: Everybody can get into it, and the account of the servers can write to it.
        self.folder = folder
        self.programs = programs
        self._account = account
        self._servers: list[Server] = []

    def new(
        self,
        name: str,
        programs: Path | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> Server:
        """A server without data, of the binaries that come along unless others are named."""
        own = self.subfolder(name)
        server = Server(programs or self.programs, self._account, own, settings)
        self._servers.append(server)
        return server

    def runnable(self, programs: Path) -> Path:
        """Returns where the account of the servers can run these programs: where they are, or in
        a copy, if it cannot get there."""
        if self._account is None or all(
            path.stat().st_mode & 0o001 for path in (programs, *programs.parents)
        ):
            return programs
        copy = self.folder / "programs"
        shutil.copytree(programs.parent, copy)
        return copy / programs.name

    def subfolder(self, name: str) -> Path:
        """Makes a folder that belongs to the account of the servers."""
        folder = self.folder / name
        folder.mkdir()
        self.give(folder)
        return folder

    def give(self, path: Path) -> None:
        """Gives a file or folder to the account of the servers."""
        if self._account:
            self._account.own(path)

    def append(self, path: Path, *lines: str) -> None:
        """Adds lines to a file of the servers, which may be new."""
        with path.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        self.give(path)

    def close(self) -> None:
        """kill -9 of every server."""
        for server in self._servers:
            server.kill()


@contextmanager
def clusters() -> Iterator[Clusters]:
    """Lends a folder for servers. Skips the test without the binaries."""
    account = nobody() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="jobsvc-clusters-"))
    folder.chmod(0o711)
    made: Clusters | None = None
    try:
        if account:
            account.own(folder)
        try:
            programs = find_binaries(account, folder).folder
        except EmbeddedUnavailable as error:
            pytest.skip(f"{error}")
        for program in ("pg_basebackup", "pg_dump", "pg_upgrade"):
            if not (programs / program).exists():
                pytest.skip(f"{program} does not come along")
        made = Clusters(folder, programs, account)
        yield made
    finally:
        if made is not None:
            made.close()
        shutil.rmtree(folder, ignore_errors=True)
