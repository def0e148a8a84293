"""Hints: heard by every other replica, and sent only while there is one."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import asyncpg

from jobsvc.store.hints import Hint, Hints
from tests.api.support.database_link import database_link
from tests.support.probe import eventually

SOON_SECONDS = 5.0


class Replica:
    """The hints of a replica, and what it has heard."""

    def __init__(self, hints: Hints) -> None:
        self.heard: asyncio.Queue[Hint] = asyncio.Queue()
        self.hints = hints
        hints.listen(self.heard.put_nowait)

    async def listens(self) -> None:
        async with asyncio.timeout(SOON_SECONDS):
            await self.hints.until_probed()

    async def hear(self) -> Hint:
        async with asyncio.timeout(SOON_SECONDS):
            return await self.heard.get()


@asynccontextmanager
async def running(hints: Hints) -> AsyncIterator[Replica]:
    replica = Replica(hints)
    task = asyncio.ensure_future(hints.run())
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
    """The messages up to the first one that begins with `what`, which is the last of them."""
    said = []
    async with asyncio.timeout(SOON_SECONDS):
        while not said or not said[-1].startswith(what):
            said.append(await heard.get())
    return said


async def test_replicas_know_where_jobs_are_watched(dsn: str, sql: asyncpg.Connection) -> None:
    """Only then they hint the ids of jobs that are created."""
    async with running(Hints(dsn, "a", alive_seconds=0.2, absence_seconds=1.0)) as one:
        await one.listens()
        async with running(Hints(dsn, "b", alive_seconds=0.2, absence_seconds=1.0)) as two:
            await two.listens()
            assert not one.hints.are_jobs_watched
            two.hints.watch_jobs(True)
            assert two.hints.are_jobs_watched
            await eventually(lambda: one.hints.are_jobs_watched)
            two.hints.watch_jobs(False)
            await eventually(lambda: not one.hints.are_jobs_watched)
            two.hints.watch_jobs(True)
            await eventually(lambda: one.hints.are_jobs_watched)
        # It is gone without a word.
        await eventually(lambda: not one.hints.are_jobs_watched)


async def test_lone_replica_says_only_that_it_is_there(dsn: str, sql: asyncpg.Connection) -> None:
    async with listening(sql) as heard, running(Hints(dsn, "a")) as one:
        await until_said(heard, "a p")
        one.hints.tell(ready=["early"])
        assert (await one.hear()).ready == ("early",)
        await until_said(heard, "a r early")  # Other replicas may not have replied yet.
        for _ in range(4):
            await until_said(heard, "a p")
        one.hints.tell(["01a20804-e9ba-7c83-b2c8-3509c2b541a3"], ["q"], ["q"])
        assert (await one.hear()).ready == ("q",), "this replica itself is told at once"
        assert await until_said(heard, "a p") == ["a p"]


async def test_new_replica_is_told_from_its_greeting_on(dsn: str, sql: asyncpg.Connection) -> None:
    job_ids = [f"01a20804-e9ba-7c83-b2c8-{number:012}" for number in range(500)]
    async with AsyncExitStack() as stack:
        heard = await stack.enter_async_context(listening(sql))
        one = await stack.enter_async_context(running(Hints(dsn, "a", alive_seconds=3600.0)))
        await until_said(heard, "a p")
        two = await stack.enter_async_context(running(Hints(dsn, "b", alive_seconds=3600.0)))
        # Each replies to the greeting of one that it did not know.
        await until_said(heard, "b p")
        await until_said(heard, "a p")
        # A greeting may come by the other connection, before this one listens.
        await one.listens()
        await two.listens()
        for speaker, listener in ((one, two), (two, one)):
            speaker.hints.tell(job_ids, ["q"], ["r"], ["l"])
            assert await speaker.hear() == Hint(tuple(job_ids), ("q",), ("r",), ("l",))
            told = [await listener.hear() for _ in range(6)]
            assert [i for hint in told for i in hint.job_ids] == job_ids
            assert [hint.ready for hint in told if hint.ready] == [("q",)]
            assert [hint.declared for hint in told if hint.declared] == [("r",)]
            assert [hint.cancels for hint in told if hint.cancels] == [("l",)]


async def test_listening_connection_that_died_silently_is_replaced(dsn: str) -> None:
    with tempfile.TemporaryDirectory(prefix="jobsvc-link-") as folder:
        async with (
            database_link(dsn, Path(folder)) as link,
            running(Hints(link.dsn, "a", absence_seconds=2.0)) as one,
            running(Hints(dsn, "b")) as other,
        ):
            await one.listens()
            await other.listens()
            link.kill_silently()
            async with asyncio.timeout(15):
                while one.heard.empty():
                    other.hints.tell(ready=["q"])
                    await asyncio.sleep(0.1)  # Between two tries.
