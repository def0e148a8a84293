"""One run of PostgreSQL's first process: from a free data directory to `ready`."""

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
from jobsvc.embedded.cluster import arguments, reachable
from jobsvc.embedded.home import Home, in_use
from jobsvc.embedded.process import spawn
from jobsvc.embedded.unavailable import EmbeddedUnavailable

#: How long processes of an earlier run may take to leave.
LEAVE_SECONDS = 15.0
#: Recovery after a kill replays up to max_wal_size.
READY_SECONDS = 300.0
POLL_SECONDS = 0.005


async def lock_when_free(home: Home) -> int:
    """A descriptor of the data directory, locked; the server that inherits it keeps the lock.

    So the lock is free when the last process of an earlier run has left, backends included,
    whatever became of pids in the meantime; files it left behind may be removed then.

    Raises:
        EmbeddedUnavailable: somebody else's server is on the data, or an earlier one stays.
    """
    folder = os.open(home.pgdata, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + LEAVE_SECONDS
        while not _locked(folder):
            if time.monotonic() >= deadline:
                raise in_use(home, next(iter(_status(home)), ""))
            if sys.platform != "linux":  # no parent-death signal has told it to leave
                with suppress(ProcessLookupError, IndexError, ValueError):
                    os.kill(int(_status(home)[0]), signal.SIGQUIT)
            await asyncio.sleep(POLL_SECONDS)
        _refuse_foreign(home)
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


def _refuse_foreign(home: Home) -> None:
    """Raises when a server that was started by hand is on the data: it has no lock of ours."""
    pid = next(iter(_status(home)), "")
    with suppress(OSError):  # the process is gone or somebody else's, or there is no /proc
        if pid and home.pgdata.samefile(f"/proc/{pid}/cwd"):
            raise in_use(home, pid)


def start(
    home: Home,
    binaries: Binaries,
    account: Account | None,
    settings: Mapping[str, str],
    socket_folder: Path,
    locked: int,
) -> subprocess.Popen[bytes]:
    """Starts a postmaster on the data directory of which `locked` is the descriptor."""
    if sys.platform == "linux":
        # PostgreSQL judges a left-over file by whether its pid is alive, and in a container
        # the same few pids come again. Elsewhere a foreign server cannot be told apart.
        (home.pgdata / "postmaster.pid").unlink(missing_ok=True)
    sockets.clear(socket_folder)
    sockets_at = os.open(socket_folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return spawn(
            [
                binaries.postgres,
                *("-D", reachable(locked, home.pgdata, account)),
                *("-k", reachable(sockets_at, socket_folder, account)),
                *("-p", str(sockets.PORT)),
                *arguments(settings),
            ],
            account=account,
            death_signal=signal.SIGQUIT,
            log=home.log,
            inherited=[locked, sockets_at],
        )
    finally:
        os.close(sockets_at)


async def until_ready(process: subprocess.Popen[bytes], home: Home, offset: int) -> None:
    """Waits until the postmaster takes connections; `offset` is where its log begins.

    Raises:
        EmbeddedUnavailable: it has ended instead, or takes longer than any recovery should.
    """
    deadline = time.monotonic() + READY_SECONDS
    while not _is_ready(home, process.pid):
        if process.poll() is not None:
            raise EmbeddedUnavailable(
                f"PostgreSQL did not start: {home.complaint(offset)}; see {home.log}"
            )
        if time.monotonic() >= deadline:
            raise EmbeddedUnavailable(
                f"PostgreSQL is not ready after {READY_SECONDS:.0f} s; see {home.log}"
            )
        await asyncio.sleep(POLL_SECONDS)


def _is_ready(home: Home, pid: int) -> bool:
    status = _status(home)
    return len(status) >= 8 and status[0] == str(pid) and status[7].strip() == "ready"


def _status(home: Home) -> list[str]:
    """The lines of postmaster.pid: the pid first, the state eighth."""
    try:
        return (home.pgdata / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
