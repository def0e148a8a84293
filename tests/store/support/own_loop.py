"""A store for tests that are not coroutines themselves."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg

from jobsvc.store.store import Store, open_store
from tests.support.looking import look_at

T = TypeVar("T")


@dataclass
class OwnLoop:
    """A store that lives on a loop of its own, between the steps of the machine."""

    dsn: str
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        opened: asyncio.Future[tuple[Store, asyncpg.Connection]] = self.loop.create_future()
        self._close = asyncio.Event()
        self._host = self.loop.create_task(self._keep(opened))
        self.store, self.sql = self.loop.run_until_complete(opened)

    async def _keep(self, opened: asyncio.Future[tuple[Store, asyncpg.Connection]]) -> None:
        async with open_store(
            self.dsn, "test", pool_size=2, statement_seconds=10, max_queues=1000
        ) as store:
            connection = await look_at(self.dsn)
            opened.set_result((store, connection))
            await self._close.wait()
            await connection.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def close(self) -> None:
        self._close.set()
        self.loop.run_until_complete(self._host)
        self.loop.close()
