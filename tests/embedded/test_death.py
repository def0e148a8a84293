"""PostgreSQL is started again when it dies, and ends when its server dies."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import psutil
import pytest

from jobsvc.embedded import EmbeddedPostgres, EmbeddedUnavailable, embedded_postgres
from tests.support.probe import eventually

FAST = {"fsync": "off"}
Serve = Callable[..., subprocess.Popen[str]]
PidOf = Callable[[Path], int]


@asynccontextmanager
async def watched(server: EmbeddedPostgres) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(server.watch())
        yield
        watch.cancel()


async def connect_again(dsn: str) -> asyncpg.Connection:
    """Connects as soon as the server accepts connections again."""
    async with asyncio.timeout(40):
        while True:
            try:
                return await asyncpg.connect(dsn)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.01)  # Between two tries.


def is_gone(process: psutil.Process) -> bool:
    """Whether it runs no more; the system's first process may be slow to notice."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_killed_postmaster_is_started_again(tmp_path: Path, postmaster_pid: PidOf) -> None:
    async with embedded_postgres(tmp_path, FAST) as server, watched(server):
        connection = await asyncpg.connect(server.dsn)
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
        for _ in range(2):
            killed = postmaster_pid(tmp_path)
            cut = asyncio.Event()
            connection.add_termination_listener(lambda _, cut=cut: cut.set())
            os.kill(killed, signal.SIGKILL)
            async with asyncio.timeout(40):
                await cut.wait()
            connection = await connect_again(server.dsn)
            assert await connection.fetchval("SELECT n FROM kept") == 42
            assert postmaster_pid(tmp_path) != killed
        await connection.close()


async def test_start_waits_for_the_last_backend(tmp_path: Path, postmaster_pid: PidOf) -> None:
    async with embedded_postgres(tmp_path, FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        backend = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()"))
        backend.suspend()
        os.kill(postmaster_pid(tmp_path), signal.SIGKILL)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await server.start()
        assert backend.is_running()
        backend.resume()
        await server.start()
        connection.terminate()
        await (await asyncpg.connect(server.dsn)).close()


async def test_watch_gives_up_in_the_end(tmp_path: Path, postmaster_pid: PidOf) -> None:
    async with embedded_postgres(tmp_path, FAST) as server:
        (tmp_path / "pgdata" / "global" / "pg_control").unlink()
        os.kill(postmaster_pid(tmp_path), signal.SIGKILL)
        async with asyncio.timeout(40):
            with pytest.raises(EmbeddedUnavailable, match=r"again 5 times: .*postgres\.log"):
                await server.watch()


async def test_kill_of_the_server_takes_postgres_along(
    tmp_path: Path, serve: Serve, postmaster_pid: PidOf
) -> None:
    process = serve(tmp_path)
    assert process.stdout is not None
    dsn = process.stdout.readline().strip()
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    postmaster = psutil.Process(postmaster_pid(tmp_path))
    processes = [postmaster, *postmaster.children(recursive=True)]

    process.kill()
    process.wait()
    await eventually(lambda: all(map(is_gone, processes)), what="the end of every process")
    connection.terminate()

    async with embedded_postgres(tmp_path, FAST) as server:
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("SELECT n FROM kept") == 42
        await connection.close()


async def test_start_right_after_a_kill(tmp_path: Path, serve: Serve) -> None:
    for _ in range(3):
        process = serve(tmp_path)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("postgresql://")
        process.kill()
        process.wait()


async def test_ctrl_c_does_not_reach_postgres(tmp_path: Path, postmaster_pid: PidOf) -> None:
    async with embedded_postgres(tmp_path, FAST):
        assert os.getpgid(postmaster_pid(tmp_path)) != os.getpgrp()


async def test_secrets_stay_with_the_server(
    tmp_path: Path, postmaster_pid: PidOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBSVC_SESSION_KEY", "secret")
    monkeypatch.setenv("PGPORT", "1")
    async with embedded_postgres(tmp_path, FAST) as server:
        await (await asyncpg.connect(server.dsn)).close()
        environment = psutil.Process(postmaster_pid(tmp_path)).environ()
        assert not {"JOBSVC_SESSION_KEY", "PGPORT"} & environment.keys()
