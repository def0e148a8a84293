"""A line a minute on how a long run goes, and what it takes."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from tests.faults.support.installation import Installation
from tests.faults.support.load import Load

_INTERVAL_SECONDS = 60.0


@asynccontextmanager
async def telling_progress(
    installation: Installation, load: Load, began: float
) -> AsyncIterator[None]:
    """Prints a line a minute until the end of the block. `began` is when the run did."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)  # The interval of the lines.
            print(f"{time.time() - began:6.1f} s  {_progress(installation, load)}", flush=True)

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling


def _progress(installation: Installation, load: Load) -> str:
    servers = " and ".join(str(_resident_mib(server.pid)) for server in installation.servers)
    surprises = len(installation.surprises)
    return (
        f"progress: {load.created} jobs created, {load.ended_count} ended, {surprises} surprises;"
        f" MiB: servers {servers}, harness {_resident_mib()},"
        f" data {_size_mib(installation.data_dir)}, history"
        f" {installation.stage.history.path.stat().st_size >> 20}"
    )


def _resident_mib(pid: int | None = None) -> int:
    try:
        rss: int = psutil.Process(pid).memory_info().rss
    except psutil.NoSuchProcess:
        return 0  # It was just killed.
    return rss >> 20


def _size_mib(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # PostgreSQL removes files meanwhile.
                total += Path(place, name).lstat().st_size
    return total >> 20
