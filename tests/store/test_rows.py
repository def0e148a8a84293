"""Rows that statements read, as PostgreSQL counts them: only those that the caller asked for,
whatever else is in the tables and whatever the planner expects."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import asyncpg
import pytest

from jobsvc.domain.lease import Extension, LeaseId
from jobsvc.store.database import Database
from jobsvc.store.sessions import Pooling, Sessions
from jobsvc.store.store import Store
from tests.store.support.plans import BIG_TABLES, Node, scans
from tests.store.support.samples import KEEP_SECONDS, RETRY, end, lease, new_job

#: Rows of each table before anything is measured, nearly all in one queue.
ROWS = 20_000
#: Jobs of a statement.
BATCH = 10
#: Rows of one kind that GetQueueStats reads at most.
COUNTED = 2000

FILL = f"""
    INSERT INTO queue (name) SELECT 'queue-' || n FROM generate_series(1, 300) n;
    INSERT INTO queue (name) VALUES ('q');
    INSERT INTO job (
        id, queue, create_time, priority, max_attempts, initial_backoff, max_backoff,
        backoff_multiplier, attempt_timeout, owner_service, owner_user, traceparent, tracestate,
        request_id)
    SELECT gen_random_uuid(), 'q', now() - interval '1 hour', 0, 3, 1, 1, 1, 900, '', '', '', '',
        gen_random_uuid()
    FROM generate_series(1, 3 * {ROWS});
    CREATE TEMP TABLE filled AS SELECT id, row_number() OVER () AS n FROM job;
    INSERT INTO waiting (
        job_id, queue, rank, run_at, attempt, redeliveries, version, update_time, keyed,
        expire_time)
    SELECT id, 'q', -5 + n % 3, now() + (n % 2 - 0.5) * interval '1 hour', 1, 0, 1, now(), false,
        now() + interval '1 hour'
    FROM filled WHERE n <= {ROWS};
    INSERT INTO lease (
        job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed,
        worker_id, start_time, duration, until, deadline)
    SELECT id, n, 'q', 0, 2, 0, 2, now(), false, 'other', now(), 30,
        now() + interval '1 hour', now() + interval '1 hour'
    FROM filled WHERE n BETWEEN {ROWS} + 1 AND 2 * {ROWS};
    INSERT INTO result (
        job_id, state, attempt, version, worker_id, end_time, purge_time, progress_message)
    SELECT id, 3, 1, 3, '', now(), now() + interval '1 hour', '' FROM filled WHERE n > 2 * {ROWS};
    INSERT INTO attempt (job_id, attempt, lease_id, worker_id, start_time, end_time, error)
    SELECT id, 1, 1, '', now(), now(), '{{"code": 14}}' FROM filled;
    INSERT INTO held_key (queue, unique_key, job_id) SELECT 'q', n, id FROM filled;
    DROP TABLE filled"""

#: The state of the tables when they were analysed, if ever: it is all that the planner knows.
ANALYSED = {
    "never": [FILL],
    "while empty": ["VACUUM (ANALYZE)", FILL],
    "while full": [FILL, "VACUUM (ANALYZE)"],
}


@dataclass
class Touched:
    """The plans that have been run since `clear`, with the rows that each read of big tables."""

    plans: list[Node] = field(default_factory=list)

    def heard(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        text = message.message
        self.plans.append(json.loads(text[text.index("{") :])["Plan"])

    def max_rows(self, tables: set[str] = BIG_TABLES) -> float:
        """The largest number of rows that one node has read."""
        assert self.plans, "nothing was run"
        found = [n for plan in self.plans for n in scans(plan) if n["Relation Name"] in tables]
        self.plans.clear()
        return max((_rows(n) for n in found), default=0)


def _rows(node: Node) -> float:
    skipped = sum(rows for name, rows in node.items() if name.startswith("Rows Removed by"))
    return float((node["Actual Rows"] + skipped) * node["Actual Loops"])


class OneConnection:
    """Stands where the pool stands, so that its notices can be heard."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._free = asyncio.Lock()

    async def acquire(self, timeout: float) -> asyncpg.Connection:  # noqa: ASYNC109
        await self._free.acquire()
        return self._connection

    async def release(self, _: asyncpg.Connection, timeout: float) -> None:  # noqa: ASYNC109
        self._free.release()


def done(results: Sequence[object]) -> None:
    """Checks that every item of a batch has succeeded."""
    assert all(results), results
    assert not any(isinstance(result, Exception) for result in results), results


@asynccontextmanager
async def watched(dsn: str) -> AsyncIterator[tuple[Store, Touched]]:
    """A store on one connection that tells the plan of everything it runs."""
    touched = Touched()
    sessions = Sessions(Pooling.SESSION, statement_seconds=30)
    options = sessions.pool_options()
    connection = await asyncpg.connect(dsn, connection_class=options["connection_class"])
    await options["init"](connection)
    await connection.execute(
        "LOAD 'auto_explain';"
        "SET auto_explain.log_min_duration = 0; SET auto_explain.log_analyze = on;"
        "SET auto_explain.log_timing = off; SET auto_explain.log_format = 'json';"
        "SET auto_explain.log_level = 'warning'"
    )
    connection.add_log_listener(touched.heard)
    store = Store(Database(OneConnection(connection), sessions, 5), "test", 1000)
    async with asyncio.TaskGroup() as tasks:
        batchers = [store.jobs.creates, store.lease_ends.ends, store.leases.extensions]
        running = [tasks.create_task(batcher.run()) for batcher in batchers]
        yield store, touched
        for task in running:
            task.cancel()
    await connection.close()


@pytest.mark.parametrize("analysed", ANALYSED)
async def test_statements_touch_what_they_are_asked_for(
    dsn: str, sql: asyncpg.Connection, analysed: str
) -> None:
    await sql.execute(
        "ALTER TABLE job SET (autovacuum_enabled = off);"
        "ALTER TABLE waiting SET (autovacuum_enabled = off);"
        "ALTER TABLE lease SET (autovacuum_enabled = off)"
    )
    for statement in ANALYSED[analysed]:
        await sql.execute(statement)
    async with watched(dsn) as (store, touched):
        jobs = [new_job(request_id=str(uuid4()), unique_key=f"k{n}") for n in range(BATCH)]
        done(await store.jobs.creates.submit(jobs))
        assert touched.max_rows() <= BATCH
        ids = [job.id for job in jobs]
        assert len(await store.jobs.read(ids)) == BATCH
        assert len(await store.jobs.find_changed(dict.fromkeys(ids, 0))) == BATCH
        await store.jobs.read_attempts(ids[0], 9)
        assert touched.max_rows() <= BATCH
        async with store.database.connection() as connection:
            requests = [("", str(job.request_id)) for job in jobs]
            assert len(await store.jobs.find_requests(requests, connection)) == BATCH
            keys = [("q", f"k{n}") for n in range(BATCH)]
            held = await store.jobs.find_key_holders(keys, connection)
            assert held == {k: (i, False) for k, i in zip(keys, ids, strict=True)}
        assert touched.max_rows() <= BATCH

        assert await store.claims.ready(["q", "queue-1"]) == ["q"]
        assert touched.max_rows() <= BATCH
        leases = [job.id for job in await lease(store, 4 * BATCH)]
        assert len(leases) == 4 * BATCH
        assert touched.max_rows() <= 4 * BATCH
        await _end_all(store, touched, leases)

        (counts,) = await store.queues.count(["q"])
        assert counts.ready == pytest.approx(ROWS / 2, rel=0.15)
        assert counts.scheduled == pytest.approx(ROWS / 2, rel=0.15)
        # The leases are all read: no more than the workers have windows.
        assert touched.max_rows(BIG_TABLES - {"lease"}) <= COUNTED


async def _end_all(store: Store, touched: Touched, leases: list[LeaseId]) -> None:
    finished, retried, redelivered, rest = (leases[n::4] for n in range(4))
    assert await store.leases.current(leases) == set(leases)
    assert len(await store.leases.read(leases)) == len(leases)
    assert touched.max_rows() <= len(leases)
    done(await store.leases.extensions.submit([Extension(i) for i in finished]))
    assert touched.max_rows() <= BATCH
    done(await store.lease_ends.ends.submit([end(i) for i in finished]))
    assert touched.max_rows() <= BATCH
    done(await store.lease_ends.ends.submit([end(i, RETRY) for i in retried]))
    assert touched.max_rows() <= BATCH
    assert len(await store.leases.redeliver(redelivered)) == BATCH
    assert touched.max_rows() <= BATCH
    done(await store.lease_ends.ends.submit([end(i) for i in rest]))
    assert touched.max_rows() <= BATCH


@pytest.mark.parametrize("analysed", ANALYSED)
async def test_upkeep_touches_a_batch(dsn: str, sql: asyncpg.Connection, analysed: str) -> None:
    for statement in ANALYSED[analysed]:
        await sql.execute(statement)
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 hour'")
    await sql.execute("UPDATE waiting SET start_deadline = expire_time")
    await sql.execute("UPDATE result SET purge_time = now() - interval '1 hour'")
    async with watched(dsn) as (store, touched):
        assert len(await store.upkeep.expire(BATCH, KEEP_SECONDS)) == BATCH
        assert touched.max_rows() <= BATCH
        for request_id_seconds in (KEEP_SECONDS, 0.0):
            assert await store.upkeep.prune(BATCH, request_id_seconds) == BATCH
            assert touched.max_rows() <= BATCH
