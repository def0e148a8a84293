"""Counts of queues, for those who ask again and again."""

import asyncio

import asyncpg
import pytest

from jobsvc.domain.errors import QueueNotFound, ServerDraining
from jobsvc.queues.statistics import QueueStatistics
from jobsvc.store.store import Store


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def declared() -> tuple[str, ...]:
    return ("a", "b", "c")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def statistics(store: Store, clock: Clock) -> QueueStatistics:
    return QueueStatistics(store.queues, clock)


async def test_answer_of_a_moment_ago_is_given_again(
    statistics: QueueStatistics, clock: Clock, sql: asyncpg.Connection
) -> None:
    assert not (await statistics.read("a")).paused
    await sql.execute("UPDATE queue SET paused = true")
    clock.now += 0.9
    assert not (await statistics.read("a")).paused
    clock.now += 0.2
    assert (await statistics.read("a")).paused


async def test_reading_for_one_queue_reads_all_that_were_asked_for_lately(
    statistics: QueueStatistics, clock: Clock, sql: asyncpg.Connection
) -> None:
    await statistics.read("a")
    await statistics.read("b")
    clock.now += 10
    await statistics.read("a")
    await sql.execute("UPDATE queue SET paused = true")
    assert not (await statistics.read("b")).paused, "it was read with the other one"
    assert (await statistics.read("c")).paused, "nobody has asked for it before"
    clock.now += 61
    await sql.execute("UPDATE queue SET paused = false")
    assert not (await statistics.read("a")).paused
    await sql.execute("UPDATE queue SET paused = true")
    assert (await statistics.read("b")).paused, "nobody has asked for it for a minute"


async def test_many_who_ask_at_once_share_a_reading(statistics: QueueStatistics) -> None:
    found = await asyncio.gather(*(statistics.read("a") for _ in range(50)))
    assert all(counts is found[0] for counts in found)


async def test_unknown_queue_is_an_error_each_time(
    statistics: QueueStatistics, store: Store
) -> None:
    for _ in range(2):
        with pytest.raises(QueueNotFound):
            await statistics.read("nothing")
    await store.queues.declare(["nothing"])
    assert (await statistics.read("nothing")).name == "nothing"


async def test_watches_get_every_reading_of_their_queue(
    statistics: QueueStatistics, sql: asyncpg.Connection
) -> None:
    with statistics.watch("a") as one, statistics.watch("b") as two:
        await statistics.read_watched()
        assert not (await one.next()).paused
        assert (await two.next()).name == "b"
        await sql.execute("UPDATE queue SET paused = true")
        await statistics.read_watched()
        assert (await one.next()).paused


async def test_watch_that_is_late_gets_the_latest_reading_only(
    statistics: QueueStatistics, sql: asyncpg.Connection
) -> None:
    with statistics.watch("a") as watch:
        await statistics.read_watched()
        await sql.execute("UPDATE queue SET paused = true")
        await statistics.read_watched()
        assert (await watch.next()).paused
        waiting = asyncio.ensure_future(watch.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()


async def test_watch_ends_when_its_queue_is_gone(
    statistics: QueueStatistics, sql: asyncpg.Connection
) -> None:
    with statistics.watch("a") as watch:
        await sql.execute("DELETE FROM queue WHERE name = 'a'")
        await statistics.read_watched()
        with pytest.raises(QueueNotFound):
            await watch.next()


async def test_drain_ends_watches(statistics: QueueStatistics) -> None:
    with statistics.watch("a") as watch:
        waiting = asyncio.ensure_future(watch.next())
        await asyncio.sleep(0)
        statistics.drain()
        with pytest.raises(ServerDraining):
            await asyncio.wait_for(waiting, 5)
    with statistics.watch("a") as late, pytest.raises(ServerDraining):
        await asyncio.wait_for(late.next(), 5)


async def test_nothing_is_read_while_nobody_watches(
    statistics: QueueStatistics, sql: asyncpg.Connection
) -> None:
    async with sql.transaction():
        await sql.execute("LOCK TABLE queue IN ACCESS EXCLUSIVE MODE")
        await asyncio.wait_for(statistics.read_watched(), 5)
        with statistics.watch("a"), pytest.raises(TimeoutError):
            await asyncio.wait_for(statistics.read_watched(), 0.2)
