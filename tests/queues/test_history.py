"""What a replica has counted is written minute by minute, by the clock of the database."""

import asyncio
from datetime import datetime, timedelta

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseFailure
from jobsvc.queues.history import QueueHistoryWriter
from jobsvc.store.store import Store
from jobsvc.telemetry.job_tallies import JobTallies
from jobsvc.upkeep.depths import write_depths
from tests.store.support.samples import create, lease

MINUTE = timedelta(minutes=1)


class Clock:
    """The clock of the process, as far from that of the database as its tests have moved it."""

    def __init__(self) -> None:
        self.moved = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.moved


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tallies() -> JobTallies:
    return JobTallies()


@pytest.fixture
async def writer(
    store: Store, sql: asyncpg.Connection, tallies: JobTallies, clock: Clock
) -> QueueHistoryWriter:
    await sql.execute("UPDATE queue SET create_time = now() - interval '2 days'")
    writer = QueueHistoryWriter(store, tallies, clock)
    await writer.write_due()
    return writer


async def created(sql: asyncpg.Connection) -> int:
    count: int = await sql.fetchval("SELECT coalesce(sum(created), 0) FROM queue_minute")
    return count


async def test_counts_are_written_when_the_minute_of_the_database_is_over(
    writer: QueueHistoryWriter, tallies: JobTallies, clock: Clock, sql: asyncpg.Connection
) -> None:
    tallies.of("q").created += 3
    now: datetime = await sql.fetchval("SELECT now()")
    left = 60 - now.timestamp() % 60
    if left > 30:  # so that nothing depends on how fast this is
        clock.moved = left - 30
        await writer.write_due()
        assert await created(sql) == 0
    clock.moved = left + 1
    await writer.write_due()
    assert await created(sql) == 3


async def test_what_was_written_is_not_written_again(
    writer: QueueHistoryWriter, tallies: JobTallies, clock: Clock, sql: asyncpg.Connection
) -> None:
    for minute in range(1, 4):
        tallies.of("q").created += 1
        clock.moved = 61 * minute
        await writer.write_due()
        assert await created(sql) == minute


async def test_minutes_of_an_outage_are_written_as_what_they_were(
    store: Store,
    writer: QueueHistoryWriter,
    tallies: JobTallies,
    clock: Clock,
    sql: asyncpg.Connection,
) -> None:
    await sql.execute("ALTER TABLE queue_minute RENAME TO hidden")
    for minute in range(1, 4):
        tallies.of("q").created += minute
        clock.moved = 60 * minute
        with pytest.raises(DatabaseFailure):
            await writer.write_due()
    await sql.execute("ALTER TABLE hidden RENAME TO queue_minute")
    await writer.write_due()
    rows = await sql.fetch("SELECT created, minute FROM queue_minute ORDER BY minute")
    assert [row["created"] for row in rows] == [1, 2, 3]
    minutes = [row["minute"] for row in rows]
    assert [later - minutes[0] for later in minutes] == [0 * MINUTE, MINUTE, 2 * MINUTE]


async def test_older_minutes_of_a_long_outage_are_given_up(
    writer: QueueHistoryWriter, tallies: JobTallies, clock: Clock, sql: asyncpg.Connection
) -> None:
    await sql.execute("ALTER TABLE queue_minute RENAME TO hidden")
    for minute in range(1, 71):
        tallies.of("q").created += 1
        clock.moved = 60 * minute
        with pytest.raises(DatabaseFailure):
            await writer.write_due()
    await sql.execute("ALTER TABLE hidden RENAME TO queue_minute")
    await writer.write_due()
    assert await created(sql) == 60


async def test_write_whose_answer_was_lost_counts_once(
    store: Store,
    writer: QueueHistoryWriter,
    tallies: JobTallies,
    clock: Clock,
    sql: asyncpg.Connection,
) -> None:
    # As if the first try had been committed.
    tallies.of("q").created += 5
    await sql.execute("ALTER TABLE queue_minute RENAME TO hidden")
    clock.moved = 61
    with pytest.raises(DatabaseFailure):
        await writer.write_due()
    await sql.execute("ALTER TABLE hidden RENAME TO queue_minute")
    waiting = writer._waiting[0]
    await store.queue_history.add(waiting.write_id, clock() - waiting.middle, waiting.counted)
    assert await created(sql) == 5
    await writer.write_due()
    assert await created(sql) == 5


async def test_last_minute_is_written_at_the_end(
    writer: QueueHistoryWriter, tallies: JobTallies, sql: asyncpg.Connection
) -> None:
    tallies.of("q").created += 2
    await asyncio.gather(writer.flush(), writer.write_due())
    assert await created(sql) == 2


async def test_nothing_is_written_about_idle_queues(
    writer: QueueHistoryWriter, tallies: JobTallies, clock: Clock, sql: asyncpg.Connection
) -> None:
    tallies.of("q").completed += 0
    clock.moved = 61
    await writer.write_due()
    assert await sql.fetchval("SELECT count(*) FROM queue_minute") == 0


async def test_depths_are_written_once_a_minute(store: Store, sql: asyncpg.Connection) -> None:
    for _ in range(4):
        await create(store)
    await lease(store)
    await write_depths(store)
    # Of this minute and the next one, should it begin now.
    await sql.execute(
        "INSERT INTO queue_minute (queue, minute, ready)"
        " SELECT 'q', minute + interval '1 minute', 1 FROM queue_minute"
    )
    await create(store)
    await write_depths(store)
    rows = await sql.fetch("SELECT ready, processing FROM queue_minute ORDER BY minute")
    assert [row["ready"] for row in rows] == [4 - rows[0]["processing"], 1]
