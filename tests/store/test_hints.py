"""Hints: heard by every other replica, and sent only while there is one."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from jobsvc.store.hints import Hint, Hints
from tests.api.support.database_link import database_link

SOON_SECONDS = 5.0


class Replica:
    """The hints of a replica, and what it has heard."""

    def __init__(self, dsn: str, name: str) -> None:
        self.heard: asyncio.Queue[Hint] = asyncio.Queue()
        self.hints = Hints(dsn, name, self.heard.put_nowait, lambda: None)

    async def listens(self) -> None:
        async with asyncio.timeout(SOON_SECONDS):
            await self.hints._probed.wait()

    async def hear(self) -> Hint:
        async with asyncio.timeout(SOON_SECONDS):
            return await self.heard.get()


@asynccontextmanager
async def running(dsn: str, name: str) -> AsyncIterator[Replica]:
    replica = Replica(dsn, name)
    task = asyncio.ensure_future(replica.hints.run())
    try:
        yield replica
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def listening(sql: asyncpg.Connection) -> AsyncIterator["asyncio.Queue[str]"]:
    """Every notification on the channel."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    def hear(_connection: object, _pid: int, _channel: str, message: object) -> None:
        heard.put_nowait(str(message))

    await sql.add_listener("jobsvc", hear)
    yield heard
    await sql.remove_listener("jobsvc", hear)


async def until_said(heard: "asyncio.Queue[str]", what: str) -> list[str]:
    """What was said until and with a message that begins like this."""
    said = []
    async with asyncio.timeout(SOON_SECONDS):
        while not said or not said[-1].startswith(what):
            said.append(await heard.get())
    return said


async def test_lone_replica_says_only_that_it_is_there(dsn: str, sql: asyncpg.Connection) -> None:
    async with listening(sql) as heard, running(dsn, "a") as one:
        await until_said(heard, "a p")
        one.hints.tell(ready=["early"])
        assert (await one.hear()).ready == ("early",)
        await until_said(heard, "a r early")  # Who is there may not have answered yet.
        for _ in range(4):
            await until_said(heard, "a p")
        one.hints.tell(["01a20804-e9ba-7c83-b2c8-3509c2b541a3"], ["q"], ["q"])
        assert (await one.hear()).ready == ("q",), "this replica itself is told at once"
        assert await until_said(heard, "a p") == ["a p"]


async def test_new_replica_is_told_from_its_greeting_on(
    dsn: str, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobsvc.store.hints._PRESENCE_SECONDS", 3600.0)
    job_ids = [f"01a20804-e9ba-7c83-b2c8-{number:012}" for number in range(500)]
    async with AsyncExitStack() as stack:
        heard = await stack.enter_async_context(listening(sql))
        one = await stack.enter_async_context(running(dsn, "a"))
        await until_said(heard, "a p")
        two = await stack.enter_async_context(running(dsn, "b"))
        # Each answers the greeting of one that it has not known.
        await until_said(heard, "b p")
        await until_said(heard, "a p")
        # A greeting may come by the other connection, before this one listens.
        await one.listens()
        await two.listens()
        for speaker, listener in ((one, two), (two, one)):
            speaker.hints.tell(job_ids, ["q"], ["r"])
            assert await speaker.hear() == Hint(tuple(job_ids), ("q",), ("r",))
            told = [await listener.hear() for _ in range(5)]
            assert [i for hint in told for i in hint.job_ids] == job_ids
            assert [hint.ready for hint in told if hint.ready] == [("q",)]
            assert [hint.declared for hint in told if hint.declared] == [("r",)]


async def test_listening_connection_that_died_silently_is_replaced(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobsvc.store.hints._ABSENCE_SECONDS", 2.0)
    with tempfile.TemporaryDirectory(prefix="jobsvc-link-") as folder:
        async with (
            database_link(dsn, Path(folder)) as link,
            running(link.dsn, "a") as one,
            running(dsn, "b") as other,
        ):
            await one.listens()
            await other.listens()
            link.kill_silently()
            async with asyncio.timeout(15):
                while one.heard.empty():
                    other.hints.tell(ready=["q"])
                    await asyncio.sleep(0.1)  # Between two tries.
