"""The processes that are measured: a server with a fresh embedded PostgreSQL, and workers."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

NOOP = Path(__file__).parent / "noop.py"


@contextmanager
def server() -> Iterator[str]:
    """A server process with default settings and durable storage; answers with HOST:PORT."""
    with tempfile.TemporaryDirectory(prefix="jobsvc-bench-") as folder:
        environment = os.environ | {
            "JOBSVC_LISTEN": "127.0.0.1:0",
            "JOBSVC_DATA_DIR": folder,
            "JOBSVC_LOG_LEVEL": "WARNING",
        }
        environment.pop("JOBSVC_DSN", None)
        command = [sys.executable, "-m", "jobsvc", "serve"]
        with _process(command, environment, "jobsvc listening on ") as line:
            yield line.rsplit(" ", 1)[1]


@contextmanager
def workers(target: str, count: int = 1, concurrency: int = 200) -> Iterator[None]:
    """Worker processes with a processor that does nothing."""
    command = [sys.executable, "-m", "workers", str(NOOP), "--target", target]
    command += ["--concurrency", str(concurrency)]
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(_process(command, dict(os.environ), "jobsvc worker "))
        yield


@contextmanager
def _process(command: list[str], environment: dict[str, str], ready: str) -> Iterator[str]:
    """A process that has said that it is ready; ended by SIGTERM."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith(ready):
                    yield line.strip()
                    return
            raise RuntimeError(f"{' '.join(command)} did not get ready")
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
