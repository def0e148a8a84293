"""count_jobs.sql and the table of workers."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from jobsvc.domain.queue import QueueCounts
from jobsvc.domain.worker import SeenWorker
from jobsvc.store.store import Store
from jobsvc.store.workers import WorkerStore
from tests.store.support.samples import create, end, lease


@pytest.fixture
def declared() -> tuple[str, ...]:
    return ()


def worker(worker_id: str, *queues: str, window: int = 10, held: int = 0) -> SeenWorker:
    return SeenWorker(worker_id, queues, window, held, "1.0", "sdk", {"host": "ä"})


async def test_jobs_are_counted_by_what_they_wait_for(
    store: Store, sql: asyncpg.Connection
) -> None:
    await store.queues.declare(["empty"])
    later = datetime.now(UTC) + timedelta(hours=1)
    for number in range(6):
        await create(store, schedule_time=later if number < 2 else None)
    jobs = await lease(store, 2)
    await store.lease_ends.ends.submit_one(end(jobs[0].id))
    await sql.execute("UPDATE queue SET paused = true WHERE name = 'q'")
    await sql.execute(
        "UPDATE waiting SET run_at = run_at - interval '1 minute' WHERE run_at < now()"
    )
    empty, q = await store.queues.count(None)
    assert empty == QueueCounts("empty", False, False, 0, 0, 0, None, 0, 0)
    assert (q.name, q.paused, q.scheduled, q.ready, q.processing) == ("q", True, 2, 2, 1)
    assert q.oldest_ready_seconds == pytest.approx(60, abs=30)
    assert [c.name for c in await store.queues.count(["q", "unknown"])] == ["q"]
    assert await store.queues.count([]) == []


async def fill(sql: asyncpg.Connection, ready: int, scheduled: int) -> None:
    """Waiting jobs of the queue `q` in three ranks, by ids that are the same in every run."""
    await sql.execute(
        """
        INSERT INTO waiting (
            job_id, queue, rank, run_at, attempt, redeliveries, version, update_time, keyed)
        SELECT md5(n::text)::uuid, 'q', n % 3,
            now() + CASE WHEN n <= $1 THEN '-1 hour' ELSE '1 hour' END::interval,
            0, 0, 1, now(), false
        FROM generate_series(1, $1::integer + $2::integer) AS n
        """,
        ready,
        scheduled,
    )


@pytest.mark.parametrize(("ready", "scheduled"), [(1000, 0), (1000, 1000), (999, 30_000)])
async def test_a_thousand_jobs_of_a_kind_are_counted_to_the_last(
    store: Store, sql: asyncpg.Connection, ready: int, scheduled: int
) -> None:
    await store.queues.declare(["q"])
    await fill(sql, ready, scheduled)
    (q,) = await store.queues.count(["q"])
    assert q.ready == ready
    assert q.scheduled == pytest.approx(scheduled, rel=0.1)


@pytest.mark.parametrize(
    ("ready", "scheduled"), [(1001, 0), (0, 4000), (10_000, 0), (30_000, 10_000), (5, 100_000)]
)
async def test_more_jobs_are_estimated(
    store: Store, sql: asyncpg.Connection, ready: int, scheduled: int
) -> None:
    await store.queues.declare(["q", "other"])
    await fill(sql, ready, scheduled)
    other, q = await store.queues.count(None)
    assert (q.ready, q.scheduled) == pytest.approx((ready, scheduled), rel=0.1)
    assert (other.ready, other.scheduled) == (0, 0)


async def test_oldest_age_is_exact_among_many(store: Store, sql: asyncpg.Connection) -> None:
    await store.queues.declare(["q"])
    await fill(sql, 3000, 3000)
    await sql.execute(
        "UPDATE waiting SET run_at = now() - interval '2 hours' WHERE job_id ="
        " (SELECT job_id FROM waiting WHERE rank = 1 LIMIT 1)"
    )
    (q,) = await store.queues.count(["q"])
    assert q.oldest_ready_seconds == pytest.approx(7200, abs=60)


async def test_workers_of_all_replicas_are_counted(store: Store) -> None:
    await store.queues.declare(["a", "b", "c"])
    other = WorkerStore(store.database, "other-server")
    await store.workers.save([worker("w1", "a", "b", window=10, held=4), worker("w2", "a")])
    await other.save([worker("w1", "a", window=3), worker("w3", "b", window=2, held=5)])
    assert await store.queues.count_workers("a") == (2, 19)
    assert await store.queues.count_workers("b") == (2, 6), "a full window takes nothing away"
    assert await store.queues.count_workers("c") == (0, 0)
    assert [(c.workers, c.open_window, c.busy_workers) for c in await store.queues.count(None)] == [
        (2, 19, 1),
        (2, 6, 2),
        (0, 0, 0),
    ]


async def test_worker_is_as_it_was_last_seen(store: Store, sql: asyncpg.Connection) -> None:
    await store.workers.save([worker("w", "a")])
    await sql.execute("UPDATE worker SET connect_time = connect_time - interval '1 hour'")
    await store.workers.save([worker("w", "b", window=7, held=7)])
    assert await store.queues.count_workers("a") == (0, 0)
    assert await store.queues.count_workers("b") == (1, 0)
    row = await sql.fetchrow("SELECT *, last_seen - connect_time AS age FROM worker")
    assert row is not None
    assert (row["server_id"], row["labels"]) == ("test-server", '{"host":"ä"}')
    assert row["age"] > timedelta(minutes=59), "it has been there since its first frame"


async def test_silent_worker_is_not_counted(store: Store, sql: asyncpg.Connection) -> None:
    await store.workers.save([worker("w", "a")])
    await sql.execute("UPDATE worker SET last_seen = last_seen - interval '11 seconds'")
    assert await store.queues.count_workers("a") == (0, 0)


async def test_worker_that_left_is_forgotten_here_only(store: Store) -> None:
    other = WorkerStore(store.database, "other-server")
    await store.workers.save([worker("w1", "a"), worker("w2", "a")])
    await other.save([worker("w1", "a", window=1)])
    await store.workers.forget(["w1", "unknown"])
    assert await store.queues.count_workers("a") == (2, 11)


async def test_long_silent_workers_are_removed(store: Store, sql: asyncpg.Connection) -> None:
    other = WorkerStore(store.database, "dead-server")
    await other.save([worker("gone", "a"), worker("late", "a")])
    await sql.execute(
        "UPDATE worker SET last_seen = last_seen - interval '61 seconds' WHERE worker_id = 'gone'"
    )
    await store.workers.forget([])
    assert await sql.fetch("SELECT worker_id FROM worker") == [("late",)]


async def test_no_workers_are_no_rows(store: Store, sql: asyncpg.Connection) -> None:
    await store.workers.save([])
    assert await sql.fetchval("SELECT count(*) FROM worker") == 0
