"""Makes PostgreSQL's own data directory: once, atomically; checks it at every start."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jobsvc.embedded.account import OWN_ID, Account, nobody
from jobsvc.embedded.binaries import Binaries
from jobsvc.embedded.data_directory import DataDirectory
from jobsvc.embedded.process import exited, spawn
from jobsvc.embedded.unavailable import EmbeddedUnavailable, EmbeddedUnsuitable

USER = DATABASE = "jobsvc"
DRAFT_PREFIX = "pgdata-draft-"


async def ensure_pgdata(
    data: DataDirectory, binaries: Binaries, account: Account | None, settings: Mapping[str, str]
) -> None:
    """Makes `data.pgdata` with the database `jobsvc`, or checks an existing one.

    The directory appears complete or not at all: it is made under another name and then renamed.

    Raises:
        EmbeddedUnavailable: initdb fails, or existing data are of another version, are no
            PostgreSQL data, or cannot be read.
    """
    for draft in data.root.glob(DRAFT_PREFIX + "*"):  # left by a first start that was killed
        shutil.rmtree(draft, ignore_errors=True)
    if data.pgdata.exists():
        _check(data, binaries)
        return
    draft = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=data.root))
    try:
        by = nobody() if account and account.uid == OWN_ID else account
        await _initialise(draft, data, binaries, by, settings)
        if account and by != account:
            account.own_tree(draft)
        draft.rename(data.pgdata)
        with _opened(data.root) as folder:
            os.fsync(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check(data: DataDirectory, binaries: Binaries) -> None:
    try:
        version = (data.pgdata / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedUnsuitable(f"{data.pgdata} holds no PostgreSQL data") from None
    except PermissionError:
        owner = data.pgdata.stat().st_uid
        raise EmbeddedUnsuitable(f"{data.pgdata} belongs to uid {owner}") from None
    if version != binaries.major_version:
        raise EmbeddedUnsuitable(
            f"{data.pgdata} holds data of PostgreSQL {version}, but the embedded one is "
            f"PostgreSQL {binaries.major_version}. The data is not changed;"
            " docs/operations/postgres-upgrade.md says how to move it"
        )


async def _initialise(
    draft: Path,
    data: DataDirectory,
    binaries: Binaries,
    account: Account | None,
    settings: Mapping[str, str],
) -> None:
    if account:
        account.own(draft)
    with _opened(draft) as folder, tempfile.TemporaryFile() as statements:
        target = reachable(folder, draft, account)
        initdb = [binaries.initdb, "-D", target, "-U", USER, "-E", "UTF8"]
        initdb += [
            "--auth-local=peer",
            "--auth-host=reject",
            "--locale=C.UTF-8",
            "--no-instructions",
        ]
        if settings.get("fsync") == "off":
            initdb.append("--no-sync")
        await _run("initdb", initdb, data, account, folder)
        statements.write(f"CREATE DATABASE {DATABASE};\n".encode())
        statements.seek(0)
        single = [binaries.postgres, "--single", "-D", target, "-c", "exit_on_error=on"]
        single += [*arguments(settings), "postgres"]
        await _run("CREATE DATABASE", single, data, account, folder, statements.fileno())


async def _run(
    step: str,
    command: list[str],
    data: DataDirectory,
    account: Account | None,
    folder: int,
    stdin: int = subprocess.DEVNULL,
) -> None:
    offset = data.rotate_log()
    process = spawn(
        command,
        account=account,
        death_signal=signal.SIGKILL,
        log=data.log,
        inherited=[folder],
        stdin=stdin,
    )
    try:
        await exited(process)
    except asyncio.CancelledError:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise EmbeddedUnavailable(f"{step} failed: {data.complaint(offset)}; see {data.log}")


def arguments(settings: Mapping[str, str]) -> list[str]:
    """Returns the settings as arguments of `postgres`."""
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def reachable(descriptor: int, path: Path, account: Account | None) -> str:
    """Returns a path of an open directory that works for the child.

    The account may lack the right to walk to the data directory (below /root, say); the descriptor
    that it inherits leads there, and its own children inherit that descriptor.
    """
    inherited = Path(f"/proc/self/fd/{descriptor}")
    return str(inherited) if account and inherited.exists() else str(path)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
