"""Minutes of queues in the database: added up over replicas, read, and removed after a day."""

import asyncio
from datetime import datetime, timedelta

import asyncpg
import pytest

from jobsvc.domain.errors import QueueNotFound
from jobsvc.domain.queue_history import CountedMinute, counted_minute
from jobsvc.store.store import Store
from jobsvc.telemetry.job_tallies import JobTallies
from tests.store.support.plans import nodes, plan

#: In the minute before this one, wherever in its minute the test runs.
LAST_MINUTE = 60.0


@pytest.fixture
def declared() -> tuple[str, ...]:
    return ("a", "b")


@pytest.fixture(autouse=True)
async def queues_are_old(store: Store, sql: asyncpg.Connection) -> None:
    await sql.execute("UPDATE queue SET create_time = now() - interval '2 days'")


def counts(*queues: str, created: int = 1, seconds: float = 0.2) -> CountedMinute:
    tallies = JobTallies()
    for queue in queues:
        tally = tallies.of(queue)
        tally.created = created
        tally.completed = 2
        tally.cancelled = 3
        tally.retried = 4
        tally.fail(5, "INTERNAL")
        tally.waited([seconds, seconds])
        tally.ran([seconds])
    found = counted_minute(tallies.take())
    assert found is not None
    return found


async def test_minute_is_read_as_it_was_written(store: Store) -> None:
    counted = counts("a")
    now = await store.queue_history.add(1, LAST_MINUTE, counted)
    end, (found,) = await store.queue_history.read("a", 60)
    assert (end.second, end.microsecond) == (0, 0)
    assert abs(now - end) < timedelta(minutes=2)
    assert found.minute in (end - timedelta(minutes=1), end - timedelta(minutes=2))
    numbers = (found.created, found.completed, found.cancelled, found.retried)
    assert numbers == (1, 2, 3, 4)
    assert [found.failed, found.wait, found.run] == [
        counted.failed[0],
        counted.wait[0],
        counted.run[0],
    ]
    assert (await store.queue_history.read("b", 60))[1] == []


async def test_counts_of_replicas_are_added(store: Store, sql: asyncpg.Connection) -> None:
    short, long = counts("a", seconds=0.001), counts("b", "a", seconds=3.0, created=10)
    await store.queue_history.add(1, LAST_MINUTE, short)
    await store.queue_history.add(2, LAST_MINUTE, long)
    rows = await sql.fetch("SELECT queue, created, failed, wait, run FROM queue_minute ORDER BY 1")
    both = rows[0]
    assert [(row["queue"], row["created"]) for row in rows] == [("a", 11), ("b", 10)]
    assert both["failed"][13] == 10
    assert both["wait"] == [2, *[0] * (len(long.wait[0]) - 2), 2]
    assert sum(both["run"]) == 2


async def test_write_that_is_tried_twice_counts_once(store: Store, sql: asyncpg.Connection) -> None:
    for write_id in (7, 8, 7, 8, 7):
        await store.queue_history.add(write_id, LAST_MINUTE, counts("a"))
    assert await sql.fetchval("SELECT created FROM queue_minute") == 2


async def test_replicas_that_write_at_once_lose_nothing(
    store: Store, sql: asyncpg.Connection
) -> None:
    # In opposite orders: they would wait for each other, did the statement not sort.
    names = [f"q{n}" for n in range(200)]
    orders = (counts(*names), counts(*reversed(names)))
    await asyncio.gather(
        *(store.queue_history.add(n, LAST_MINUTE, orders[n % 2]) for n in range(40))
    )
    assert await sql.fetchval("SELECT sum(created) FROM queue_minute") == 40 * 200
    await sql.execute("SELECT pg_stat_clear_snapshot()")
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await sql.fetchval(query) == 0


async def test_minute_that_has_not_ended_is_not_read(store: Store) -> None:
    await store.queue_history.add(1, 0.0, counts("a"))
    end, found = await store.queue_history.read("a", 5)
    assert all(minute.minute < end for minute in found)


async def test_age_says_which_minute_it_was(store: Store) -> None:
    await store.queue_history.add(1, 3600.0, counts("a"))
    assert (await store.queue_history.read("a", 58))[1] == []
    (end, (found,)) = await store.queue_history.read("a", 62)
    assert 59 <= (end - found.minute) / timedelta(minutes=1) <= 62


async def test_unknown_queue_has_no_history(store: Store) -> None:
    with pytest.raises(QueueNotFound):
        await store.queue_history.read("unknown", 5)


async def test_jobs_of_an_earlier_queue_of_that_name_do_not_count(
    store: Store, sql: asyncpg.Connection
) -> None:
    await store.queue_history.add(1, 600.0, counts("a"))
    await sql.execute("UPDATE queue SET create_time = now() - interval '5 minutes'")
    assert (await store.queue_history.read("a", 60))[1] == []
    assert await store.queue_history.recent(["a"], 60) == {}


async def test_recent_minutes_of_many_queues_are_read_at_once(store: Store) -> None:
    await store.queue_history.add(1, LAST_MINUTE, counts("a", "b"))
    await store.queue_history.add(2, 1200.0, counts("b"))
    every = await store.queue_history.recent(None, 5)
    assert every.keys() == {"a", "b"}
    assert [len(minutes) for _, minutes in every.values()] == [1, 1]
    assert all(isinstance(end, datetime) for end, _ in every.values())
    assert (await store.queue_history.recent(["b", "unknown"], 5)).keys() == {"b"}


async def test_depths_stand_beside_counts_and_are_written_once(
    store: Store, sql: asyncpg.Connection
) -> None:
    history = store.queue_history
    assert not await history.are_depths_known()
    await history.add_depths([("a", 7, 3), ("b", 0, 1)])
    await history.add(1, 0.0, counts("a"))
    await history.add_depths([("a", 5, 4)])
    rows = await sql.fetch(
        "SELECT queue, sum(created)::int, max(ready), max(processing) FROM queue_minute"
        " GROUP BY queue ORDER BY queue"
    )
    assert [tuple(row) for row in rows] == [("a", 1, 7, 4), ("b", 0, 0, 1)]


async def test_depths_of_this_minute_are_known_once_written(
    store: Store, sql: asyncpg.Connection
) -> None:
    await sql.execute(
        "INSERT INTO queue_minute (queue, minute, ready)"
        " SELECT 'a', date_trunc('minute', now()) + n * interval '1 minute', 1"
        " FROM generate_series(0, 5) AS n"
    )
    assert await store.queue_history.are_depths_known()


async def test_minutes_are_removed_after_a_day(store: Store, sql: asyncpg.Connection) -> None:
    for write_id, hours in enumerate((1.0, 23.9, 24.1, 30.0)):
        await store.queue_history.add(write_id, hours * 3600, counts("a", "b"))
    assert [await store.queue_history.prune(3) for _ in range(3)] == [3, 1, 0]
    oldest = await sql.fetchval("SELECT now() - min(minute) FROM queue_minute")
    assert oldest < timedelta(hours=24)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("recent_queue_minutes", "queue_minute_minute"),
        ("prune_queue_minutes", "queue_minute_minute"),
        ("read_queue_minutes", "queue_minute_pkey"),
    ],
)
async def test_statements_go_by_an_index(
    store: Store, sql: asyncpg.Connection, name: str, index: str
) -> None:
    await sql.execute(
        "INSERT INTO queue_minute (queue, minute)"
        " SELECT 'q' || n % 50, now() - n / 50 * interval '1 minute'"
        " FROM generate_series(1, 20000) AS n"
    )
    await sql.execute("ANALYZE queue_minute")
    found = list(nodes(await plan(store, name)))
    assert index in [n.get("Index Name") for n in found], found
    assert not [
        n for n in found if n["Node Type"] == "Seq Scan" and n["Relation Name"] == "queue_minute"
    ]
