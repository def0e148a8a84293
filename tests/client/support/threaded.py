"""A blocking client that tests can await."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from jobsvc.client import BulkOperation, Client, Job, JobUpdate

T = TypeVar("T")


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
        async for update in _stepwise(self._client.follow(*args, **options)):
            yield update

    async def list_jobs(self, **options: Any) -> AsyncIterator[Job]:
        async for job in _stepwise(self._client.list_jobs(**options)):
            yield job

    async def list_bulk_operations(self) -> AsyncIterator[BulkOperation]:
        async for operation in _stepwise(self._client.list_bulk_operations()):
            yield operation

    async def watch_bulk_operation(self, operation_id: str) -> AsyncIterator[BulkOperation]:
        async for operation in _stepwise(self._client.watch_bulk_operation(operation_id)):
            yield operation

    async def watch(self, **options: Any) -> AsyncIterator[JobUpdate]:
        updates = self._client.watch(**options)
        try:
            async for update in _stepwise(updates):
                yield update
        finally:
            await asyncio.to_thread(updates.close)


async def _stepwise(items: Iterator[T]) -> AsyncIterator[T]:
    while (item := await asyncio.to_thread(next, items, None)) is not None:
        yield item
