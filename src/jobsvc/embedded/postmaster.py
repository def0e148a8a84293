"""Starts the postmaster, PostgreSQL's first process, and waits until it is ready."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from jobsvc.embedded import sockets
from jobsvc.embedded.account import Account
from jobsvc.embedded.binaries import Binaries
from jobsvc.embedded.data_directory import DataDirectory, in_use
from jobsvc.embedded.initdb import arguments, reachable
from jobsvc.embedded.process import spawn
from jobsvc.embedded.unavailable import EmbeddedUnavailable

#: How long processes of an earlier run may take to end.
LEAVE_SECONDS = 15.0
#: Enough for the recovery after a kill, which replays up to max_wal_size.
READY_SECONDS = 300.0
POLL_SECONDS = 0.005


async def lock_when_free(data: DataDirectory) -> int:
    """Returns a locked descriptor of the data directory; a server that inherits it keeps the lock.

    So the lock is free when the last process of an earlier run has ended, backends included, even
    if its pid was given to another process. Files that it left may be removed then.

    Raises:
        EmbeddedUnavailable: another server uses the data, or an earlier one does not end.
    """
    folder = os.open(data.pgdata, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + LEAVE_SECONDS
        while not _locked(folder):
            if time.monotonic() >= deadline:
                raise in_use(data, next(iter(_status(data)), ""))
            if sys.platform != "linux":  # there was no parent-death signal
                with suppress(ProcessLookupError, IndexError, ValueError):
                    os.kill(int(_status(data)[0]), signal.SIGQUIT)
            await asyncio.sleep(POLL_SECONDS)
        _refuse_foreign(data)
    except BaseException:
        os.close(folder)
        raise
    return folder


def _locked(folder: int) -> bool:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_foreign(data: DataDirectory) -> None:
    """Raises if a server that was started by hand uses the data: it does not take our lock."""
    pid = next(iter(_status(data)), "")
    with suppress(OSError):  # the process has ended or is another user's, or there is no /proc
        if pid and data.pgdata.samefile(f"/proc/{pid}/cwd"):
            raise in_use(data, pid)


def start(
    data: DataDirectory,
    binaries: Binaries,
    account: Account | None,
    settings: Mapping[str, str],
    socket_folder: Path,
    locked: int,
) -> subprocess.Popen[bytes]:
    """Starts a postmaster on the data directory; `locked` is its descriptor."""
    if sys.platform == "linux":
        # PostgreSQL trusts a left-over file if a process with its pid is alive, and a container
        # uses the same few pids again. On other systems we could not detect a foreign server.
        (data.pgdata / "postmaster.pid").unlink(missing_ok=True)
    sockets.clear(socket_folder)
    sockets_at = os.open(socket_folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return spawn(
            [
                binaries.postgres,
                *("-D", reachable(locked, data.pgdata, account)),
                *("-k", reachable(sockets_at, socket_folder, account)),
                *("-p", str(sockets.PORT)),
                *arguments(settings),
            ],
            account=account,
            death_signal=signal.SIGQUIT,
            log=data.log,
            inherited=[locked, sockets_at],
        )
    finally:
        os.close(sockets_at)


async def until_ready(process: subprocess.Popen[bytes], data: DataDirectory, offset: int) -> None:
    """Waits until the postmaster accepts connections; its log begins at `offset`.

    Raises:
        EmbeddedUnavailable: it has ended, or takes longer than any recovery should.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not _is_ready(data, process.pid):
        if process.poll() is not None:
            raise EmbeddedUnavailable(
                f"PostgreSQL did not start: {data.complaint(offset)}; see {data.log}"
            )
        if time.monotonic() >= deadline:
            raise EmbeddedUnavailable(
                f"PostgreSQL is not ready after {READY_SECONDS:.0f} s; see {data.log}"
            )
        await asyncio.sleep(POLL_SECONDS)


def _is_ready(data: DataDirectory, pid: int) -> bool:
    status = _status(data)
    return len(status) >= 8 and status[0] == str(pid) and status[7].strip() == "ready"


def _status(data: DataDirectory) -> list[str]:
    """Returns the lines of postmaster.pid: the first is the pid, the eighth the state."""
    try:
        return (data.pgdata / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
