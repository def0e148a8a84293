"""Runs a program in a process of its own: the providers are installed once per process."""

import os
import subprocess
import sys


def run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` to its end, with no variables of OpenTelemetry but these."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def clean_environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "JOBSVC_"))}
