"""Workers at a scripted server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from jobsvc.worker import Processor, Worker, processor
from tests.worker.support.scripted_server import ScriptedServer, ScriptedStream


@asynccontextmanager
async def working(
    server: ScriptedServer, *processors: Processor[..., object], **options: Any
) -> AsyncIterator[Worker]:
    options.setdefault("grace_seconds", 0.0)
    async with Worker(processors, target=server.target, **options) as worker:
        yield worker


@asynccontextmanager
async def streaming(
    server: ScriptedServer, *processors: Processor[..., object], **options: Any
) -> AsyncIterator[ScriptedStream]:
    """A subscribed worker's stream; the server confirms the end when the block is over."""
    async with working(server, *processors, **options) as worker:
        stream = await server.next_stream()
        yield stream
        worker.leave(0.0)
        await stream.see_off()


@processor("q")
async def echo(value: dict[str, Any]) -> dict[str, Any]:
    return value


@processor("q")
def echo_in_thread(value: dict[str, Any]) -> dict[str, Any]:
    return value
