"""A blocking client that tests can await."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from jobsvc.client import Client, JobUpdate


class Threaded:
    """Offers the methods of `AsyncClient` on top of a `Client`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        async def call(*args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(method, *args, **options)

        return call

    async def follow(self, *args: Any, **options: Any) -> AsyncIterator[JobUpdate]:
        updates = self._client.follow(*args, **options)
        while (update := await asyncio.to_thread(next, updates, None)) is not None:
            yield update
