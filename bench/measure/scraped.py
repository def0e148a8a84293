"""Servers that say their metrics, and who reads them as Prometheus does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import NoReturn

#: Three times as often as Prometheus does by default, so that each measurement has some.
_SCRAPE_SECONDS = 5.0
_REQUEST = b"GET /metrics HTTP/1.0\r\n\r\n"


@asynccontextmanager
async def reading_metrics() -> AsyncIterator[Mapping[str, str]]:
    """Yields the environment of a server whose metrics are read, again and again, from its start
    to the end of the block.

    Raises:
        RuntimeError: at the end, if they never were.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    bytes_read = [0]
    reader = asyncio.create_task(_read(port, bytes_read))
    try:
        yield {"JOBSVC_HTTP_LISTEN": f"127.0.0.1:{port}"}
    finally:
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
    if not bytes_read[0]:
        raise RuntimeError("the server said no metrics")


async def _read(port: int, bytes_read: list[int]) -> NoReturn:
    while True:
        with suppress(OSError):  # It does not listen yet, or no more.
            answer, request = await asyncio.open_connection("127.0.0.1", port)
            request.write(_REQUEST)
            text = await answer.read()
            if b"jobsvc_database_available" in text:
                bytes_read[0] += len(text)
            request.close()
            await asyncio.sleep(_SCRAPE_SECONDS)
        await asyncio.sleep(0.1)
