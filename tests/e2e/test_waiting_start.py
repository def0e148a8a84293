"""A server whose database is not there yet waits, with its port open, and ends in time."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from jobsvc.exit_code import ExitCode
from tests.api.support.database_link import DatabaseLink
from tests.e2e.support.command import run
from tests.e2e.support.processes import Server
from tests.e2e.support.stage import Stage


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
async def link(stage: Stage) -> DatabaseLink:
    """A way to the database that is not there yet."""
    return DatabaseLink(stage.dsn, stage.folder)


@pytest.fixture
async def server(stage: Stage, link: DatabaseLink) -> AsyncIterator[Server]:
    """A server that waits."""
    settings = {"JOBSVC_DSN": link.dsn, "JOBSVC_LISTEN": f"127.0.0.1:{free_port()}"}
    process = Server(["jobsvc", "serve"], stage.folder / "waiting", settings)
    process.port = int(settings["JOBSVC_LISTEN"].rpartition(":")[2])
    try:
        await process.says(30, "waiting for the database, for 60 s at most: no database listens at")
        yield process
    finally:
        process.kill()


def health(server: Server, *options: str) -> str:
    return run("health", *options, JOBSVC_TARGET=server.target).stdout.strip()


async def test_server_serves_as_soon_as_its_database_is_there(
    stage: Stage, link: DatabaseLink, server: Server
) -> None:
    assert health(server) == "NOT_SERVING"
    assert health(server, "--service", "jobsvc.database") == "NOT_SERVING"
    assert health(server, "--service", "jobsvc.v1.JobService") == "NOT_SERVING"
    assert health(server, "--service", "jobsvc.liveness") == "SERVING"
    assert server.stdout == ""
    await link.mend()
    try:
        await server.ready()
        assert server.stderr.count("waiting for the database") == 1
        assert "the database is there, after " in server.stderr
        assert health(server) == "SERVING"
        async with stage.calls(server.target) as caller:
            await caller.client.declare_queue("nap")
        server.terminate()
        assert await server.exited(30) == 0
    finally:
        await link.cut()


async def test_calls_meanwhile_are_told_to_try_again(server: Server) -> None:
    async with grpc.aio.insecure_channel(server.target) as channel:
        for method in ("JobService/GetJob", "JobService/WatchJobs", "WorkerService/Work"):
            call = channel.stream_stream(f"/jobsvc.v1.{method}")(iter([b""]))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                async for _ in call:
                    pass
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            details = dict(refused.value.trailing_metadata() or ())["grpc-status-details-bin"]
            assert b"DATABASE_UNAVAILABLE" in details


async def test_told_to_end_while_it_waits_it_ends_in_order(server: Server) -> None:
    server.terminate()
    assert await server.exited(10) == 0


def test_wait_ends_with_a_code_that_a_restart_may_cure(tmp_path: Path) -> None:
    done = run("serve", "--wait", "2", JOBSVC_DSN=f"host={tmp_path} dbname=d")
    assert done.returncode == ExitCode.TEMPORARY
    waiting, *rest = done.stderr.splitlines()
    assert "waiting for the database, for 2 s at most: no database listens" in waiting
    assert rest == [f"jobsvc: no database listens at {tmp_path} (connection refused)"]
