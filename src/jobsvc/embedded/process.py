"""Starts and stops PostgreSQL's programs as children that end with this process."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from jobsvc.embedded.account import Account

EXEC_CHILD = Path(__file__).with_name("exec_child.py")
POLL_SECONDS = 0.02
#: How long a fast and an immediate shutdown may take before the next signal.
FAST_SECONDS = 10.0
IMMEDIATE_SECONDS = 5.0


def spawn(
    command: Sequence[str],
    *,
    account: Account | None,
    death_signal: signal.Signals,
    log: Path,
    inherited: Iterable[int] = (),
    stdin: IO[bytes] | int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Starts `command` and appends its output to `log`. The pid is that of the program itself.

    Call it from the main thread: the death signal is sent when the *thread* that started the
    child ends. The child has its own session, so that a Ctrl-C on the terminal reaches only
    jobsvc, which still needs its database to drain.
    """
    uid, gid = (account.uid, account.gid) if account else (-1, -1)
    exec_child = [sys.executable, "-I", "-S", str(EXEC_CHILD)]
    arguments = map(str, (os.getpid(), int(death_signal), uid, gid))
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    with os.fdopen(os.open(log, flags, 0o600), "ab") as output:
        if account:  # so that an ordinary user can use the data after a start by root
            account.own(log)
        return subprocess.Popen(
            [*exec_child, *arguments, *command],
            stdin=stdin,
            stdout=output,
            stderr=output,
            cwd="/",
            env=_environment(),
            pass_fds=tuple(inherited),
            start_new_session=True,
        )


def _environment() -> dict[str, str]:
    """Returns the child's environment, without PG* (they change settings) and without secrets."""
    kept = ("LD_", "DYLD_", "FAKETIME")
    return {k: v for k, v in os.environ.items() if k in ("PATH", "TZ") or k.startswith(kept)}


async def exited(process: subprocess.Popen[bytes], seconds: float = float("inf")) -> bool:
    """Waits at most `seconds` until the process has ended; returns whether it has."""
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


async def stop(process: subprocess.Popen[bytes]) -> None:
    """Stops a postmaster in bounded time: fast shutdown, then immediate, then SIGKILL."""
    try:
        for sign, seconds in ((signal.SIGINT, FAST_SECONDS), (signal.SIGQUIT, IMMEDIATE_SECONDS)):
            process.send_signal(sign)
            if await exited(process, seconds):
                return
    finally:  # also when cancelled: no process may be left behind
        process.kill()
        process.wait()
