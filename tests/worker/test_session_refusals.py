"""What a worker does when the server refuses its stream, or what it declares."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from jobsvc.worker import Processor, WorkerStopped
from tests.support.real_proxies import real_proxy
from tests.worker.support.scripted_server import ScriptedServer, scripted_server
from tests.worker.support.stage import echo, streaming, working

pytestmark = pytest.mark.timeout(30)


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with scripted_server() as scripted:
        yield scripted


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    ],
)
async def test_refusal_ends_the_worker(server: ScriptedServer, code: grpc.StatusCode) -> None:
    async def work() -> None:
        async with working(server, echo):
            stream = await server.next_stream(accept=code is grpc.StatusCode.ABORTED)
            await stream.finish(code, "because")
            await asyncio.Event().wait()

    with pytest.raises(WorkerStopped, match="because"):
        await work()


async def test_refusal_is_read_from_its_details(server: ScriptedServer) -> None:
    """A proxy may change the code, and leaves the details."""

    async def work() -> None:
        async with working(server, echo):
            stream = await server.next_stream(accept=False)
            await stream.finish(
                grpc.StatusCode.INVALID_ARGUMENT, "because", sent_as=grpc.StatusCode.CANCELLED
            )
            await asyncio.Event().wait()

    with pytest.raises(WorkerStopped, match="refused what this worker sent: because"):
        await work()


async def test_refusal_without_details_is_a_broken_connection(server: ScriptedServer) -> None:
    async with working(server, echo) as worker:
        for code in (
            grpc.StatusCode.INTERNAL,
            grpc.StatusCode.UNKNOWN,
            grpc.StatusCode.ABORTED,
            grpc.StatusCode.INVALID_ARGUMENT,
        ):
            stream = await server.next_stream(accept=False)
            await stream.finish(code, "because", domain="")
        stream = await server.next_stream()
        worker.leave()
        await stream.see_off()


async def test_early_refusal_ends_a_worker_behind_haproxy(
    server: ScriptedServer, tmp_path: Path
) -> None:
    async def work() -> None:
        async with working(server, echo):
            stream = await server.next_stream(accept=False)
            await stream.finish(grpc.StatusCode.INVALID_ARGUMENT, "because")
            await asyncio.Event().wait()

    with (
        real_proxy("haproxy", server.target, tmp_path) as server.target,
        pytest.raises(WorkerStopped, match="because"),
    ):
        await work()


async def test_declares_what_the_processor_says(server: ScriptedServer) -> None:
    server.declare_codes = [grpc.StatusCode.UNAVAILABLE]
    async with streaming(server, Processor(echo.function, "q", attempt_timeout=60)):
        declared = server.declared["q"]
    assert declared.allow_missing
    assert set(declared.update_mask.paths) == {"input_schema", "output_schema", "attempt_timeout"}
    assert declared.queue.attempt_timeout.seconds == 60


async def test_goes_on_where_it_may_not_declare(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.declare_codes = [grpc.StatusCode.PERMISSION_DENIED]
    async with streaming(server, echo):
        pass
    assert "queue q is not declared" in caplog.text
