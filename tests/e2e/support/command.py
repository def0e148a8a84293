"""The command line, run to its end."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from contextlib import suppress

from jobsvc.exit_code import ExitCode


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JOBSVC_", "OTEL_"))}
    return subprocess.run(
        [sys.executable, "-m", "jobsvc", *arguments],
        env={**inherited, "JOBSVC_LISTEN": "127.0.0.1:0", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def complaint(
    done: subprocess.CompletedProcess[str], code: ExitCode = ExitCode.CONFIGURATION
) -> str:
    """The one line of a command that could not do its work, and ended with the code."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = [x for x in done.stderr.splitlines() if " INFO jobsvc" not in x]
    return line.removeprefix("jobsvc: ")


def run_in_terminal(*arguments: str, columns: int = 80, **environment: str) -> tuple[int, str]:
    """Runs the command line in a terminal of that width; returns its exit code and what is seen."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("JOBSVC_", "OTEL_"))}
    inherited.pop("COLUMNS", None)
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    with open(ours, "rb", buffering=0) as terminal:  # noqa: PTH123  # no path
        process = subprocess.Popen(
            [sys.executable, "-m", "jobsvc", *arguments],
            env={**inherited, "TERM": "dumb", "NO_COLOR": "1", **environment},
            stdin=subprocess.DEVNULL,
            stdout=its,
            stderr=its,
        )
        os.close(its)
        seen = b""
        # Reading fails once nobody has the other end.
        with suppress(OSError):
            while part := terminal.read(65536):
                seen += part
        return process.wait(60), seen.decode().replace("\r\n", "\n")
