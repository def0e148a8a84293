"""Servers on the embedded PostgreSQL, in processes that can be killed."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SERVE = """
import asyncio, sys
from pathlib import Path
from jobsvc.embedded import embedded_postgres

async def main():
    async with embedded_postgres(Path(sys.argv[1]), {"fsync": "off"}) as server:
        print(server.dsn, flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run(main())
"""

Serve = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a process that serves a data directory: it prints the DSN, and ends with its stdin."""
    processes: list[subprocess.Popen[str]] = []

    def start(
        data_dir: Path,
        *,
        python: str = sys.executable,
        options: tuple[str, ...] = (),
        path: tuple[Path, ...] = (),
        uid: int | None = None,
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [python, *options, "-c", SERVE, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env=os.environ | ({"PYTHONPATH": os.pathsep.join(map(str, path))} if path else {}),
            user=uid,
            group=uid,
            extra_groups=None if uid is None else [],
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.communicate(timeout=30)


@pytest.fixture
def postmaster_pid() -> Callable[[Path], int]:
    """The pid of the server that runs on a data directory."""

    def read(data_dir: Path) -> int:
        return int((data_dir / "pgdata" / "postmaster.pid").read_text().splitlines()[0])

    return read
