"""The command line, run to its end."""

import os
import subprocess
import sys

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
