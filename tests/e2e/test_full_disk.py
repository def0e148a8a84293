"""A disk that is full for longer than a lease: what was acknowledged is there, and goes on when
there is room again. Fault 24."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from jobsvc.exit_code import ExitCode
from jobsvc.settings import SCHEMA
from jobsvc.store.inconsistencies import find_inconsistencies
from tests.e2e.support.processes import Server
from tests.e2e.support.stage import LEASE_SECONDS, Stage
from tests.support.probe import eventually

pytestmark = [pytest.mark.xdist_group("slow-faults"), pytest.mark.timeout(180)]

#: PostgreSQL takes half of it when it is new.
_DISK_BYTES = 320 << 20
_PIECE = b"\0" * (64 << 10)
#: Goes into the log of changes and nowhere else: it soon wants another file there.
_CHANGE = "SELECT pg_logical_emit_message(true, 'fill', repeat('x', 4000000))"
_FULL = "No space left on device"


@pytest.fixture
def disk(stage: Stage) -> Iterator[Path]:
    """A small file system, on which the server keeps its PostgreSQL."""
    stage.data_dir.mkdir()
    options = f"size={_DISK_BYTES},mode=0755"
    mount = ["mount", "-t", "tmpfs", "-o", options, "jobsvc-test", stage.data_dir]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip(f"a small file system takes root: {done.stderr.strip()}")
    try:
        yield stage.data_dir
    finally:
        subprocess.run(["umount", "--lazy", stage.data_dir], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room that there is."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(_PIECE):
            pass
    return filler


async def end_postgres(stage: Stage, server: Server) -> None:
    """Makes PostgreSQL need room for its log of changes, until it has ended for want of it."""

    async def has_ended() -> bool:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            sql = await asyncpg.connect(stage.embedded_dsn)
            try:
                await sql.execute(_CHANGE, timeout=10)
            finally:
                sql.terminate()
        return "PostgreSQL ended unexpectedly" in server.stderr

    await eventually(
        has_ended, seconds=60, what=lambda: f"the end; the server says {server.stderr}"
    )


async def keep_up(stage: Stage, server: Server) -> None:
    """Starts the server again whenever it has ended because of its database, as a supervisor does.
    Runs until it is cancelled."""
    while True:
        if server.exit_code is not None:
            assert server.exit_code == ExitCode.TEMPORARY, server.stderr[-2000:]
            with suppress(AssertionError):  # There is no room yet.
                server = await stage.serve(embedded=True, port=server.port)
        await asyncio.sleep(0.2)  # The supervisor's own rhythm.


@pytest.mark.parametrize("full", ["tables", "log"])
async def test_full_disk_loses_nothing(stage: Stage, disk: Path, full: str) -> None:
    server = await stage.serve(embedded=True)
    await stage.work(server.target)
    async with stage.calls(server.target) as caller, asyncio.TaskGroup() as tasks:
        running = [await caller.create("nap", {"seconds": 1}) for _ in range(4)]
        await eventually(lambda: len(stage.history.runs(*running)) == 4, what="all run")
        filler = fill(disk)
        # Random, or it would be compressed to nothing.
        texts = [os.urandom(20_000).hex() for _ in range(20)]
        creations = [tasks.create_task(caller.create("nap", {"text": text})) for text in texts]
        supervisor = tasks.create_task(keep_up(stage, server))
        if full == "log":
            await end_postgres(stage, server)
        else:
            await server.says(30, f": {_FULL}")
        await asyncio.sleep(LEASE_SECONDS + 1)  # As long as the fault lasts.
        assert not all(creation.done() for creation in creations)

        filler.unlink()
        job_ids = [*running, *[await creation for creation in creations]]
        await caller.follow(job_ids)
        jobs = await stage.check(caller, job_ids, stage.embedded_dsn)
        assert all(job.succeeded for job in jobs.values())
        assert await find_inconsistencies(stage.embedded_dsn, SCHEMA) == []
        supervisor.cancel()
