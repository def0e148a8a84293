"""The clock that tests move: off, nothing is different; on, no statement misses it."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from jobsvc.domain.job import JobState
from jobsvc.settings import SCHEMA
from jobsvc.store.statement import texts
from jobsvc.store.store import Store, open_store
from jobsvc.store.under_test import DatabaseUnderTest, make_clock_movable, movable_texts
from tests.store.support.plans import Node, plan, scans

_TIME = re.compile(r"(?:clock|statement)_timestamp\(\)")
#: Columns that statements compare with the time.
_TIMES = re.compile(r"\b(?:run_at|expire_time|start_deadline|purge_time)\b")
_SHIFT = f' + "{SCHEMA}".clock_shift())'
#: Statements that compare the time with an indexed column.
TIMED = [
    "lease_jobs",
    "expire_jobs",
    "prune_jobs",
    "ready_queues",
    "count_jobs",
    "find_key_holders",
]

_JOB = (
    "INSERT INTO queue (name) VALUES ('q');"
    "INSERT INTO job (id, queue, create_time, priority, max_attempts, initial_backoff, max_backoff,"
    " backoff_multiplier, attempt_timeout, owner_service, owner_user, traceparent, tracestate)"
    " VALUES (gen_random_uuid(), 'q', now(), 0, 3, 1, 1, 1, 900, '', '', '', '');"
)


@pytest.fixture
async def moving(dsn: str) -> AsyncIterator[Store]:
    """A store whose clock can be moved."""
    await make_clock_movable(dsn, SCHEMA)
    statements = movable_texts(SCHEMA)
    async with open_store(dsn, "test", 2, 10, 1000, statements=statements) as store:
        yield store


@pytest.fixture
def clock(moving: Store) -> DatabaseUnderTest:
    return DatabaseUnderTest(moving.database)


def test_no_statement_of_a_server_knows_the_shift(store: Store) -> None:
    assert store.database.sql == texts(SCHEMA)
    assert not any("clock_shift" in text for text in texts(SCHEMA).values())


def test_every_time_is_shifted_and_nothing_else_is_different() -> None:
    shifted = movable_texts(SCHEMA)
    found = 0
    for name, text in texts(SCHEMA).items():
        times = len(_TIME.findall(text))
        assert shifted[name].count(_SHIFT) == times, name
        assert re.sub(rf"\(({_TIME.pattern}){re.escape(_SHIFT)}", r"\1", shifted[name]) == text
        found += times
    assert found > 50


async def test_every_statement_runs_under_a_clock_that_moves(moving: Store) -> None:
    async with moving.database.connection() as connection:
        for name, text in movable_texts(SCHEMA).items():
            if not name.startswith(("make_", "first_shift")):
                await connection.prepare(text)


@pytest.mark.parametrize("name", TIMED)
async def test_plans_keep_their_indexes(store: Store, moving: Store, name: str) -> None:
    def found(of: Node) -> list[tuple[str, str, list[str]]]:
        return [
            (n["Node Type"], n.get("Index Name", ""), _TIMES.findall(n.get("Index Cond", "")))
            for n in scans(of)
        ]

    usual = found(await plan(store, name))
    assert usual
    assert found(await plan(moving, name)) == usual


async def test_no_column_has_the_time_of_the_machine(
    moving: Store, sql: asyncpg.Connection
) -> None:
    defaults = await sql.fetch(
        "SELECT adrelid::regclass::text || '.' || attname, pg_get_expr(adbin, adrelid)"
        " FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum"
        " JOIN pg_class ON pg_class.oid = adrelid WHERE relnamespace = 'jobsvc'::regnamespace"
    )
    timed = {column: text for column, text in defaults if "timestamp" in text or "now" in text}
    timed.pop("schema_migration.apply_time")  # Made before.
    assert len(timed) >= 4
    assert all("clock_shift()" in text for text in timed.values()), timed


async def test_step_is_seen_by_every_statement_that_begins_later(
    moving: Store, clock: DatabaseUnderTest
) -> None:
    assert await clock.advance(86_400) == timedelta(days=1)
    assert await clock.advance(60) == timedelta(days=1, minutes=1)
    ahead = await moving.upkeep.clock() - datetime.now(UTC)
    assert abs(ahead - timedelta(days=1, minutes=1)) < timedelta(minutes=1)


async def test_lease_lives_through_a_step_up_to_its_deadline(
    moving: Store, clock: DatabaseUnderTest, sql: asyncpg.Connection
) -> None:
    await sql.execute(
        _JOB + "INSERT INTO lease (job_id, lease_id, queue, rank, attempt, redeliveries, version,"
        " update_time, keyed, worker_id, start_time, duration, until, deadline)"
        " SELECT id, 1, 'q', 0, 1, 0, 2, now(), false, 'w', now(), 30, now() + interval '30 s',"
        " now() + interval '900 s' FROM job;"
        "INSERT INTO worker_stream (worker_id, stream_id, token_digest, last_seen)"
        " VALUES ('w', gen_random_uuid(), '', now())"
    )
    first = await sql.fetchrow("SELECT until, deadline FROM lease")
    await clock.advance(600)
    second = await sql.fetchrow("SELECT until, deadline FROM lease")
    await clock.advance(600)
    third = await sql.fetchrow("SELECT until, deadline FROM lease")
    assert first
    assert second
    assert third
    assert second["until"] - first["until"] == timedelta(seconds=600)
    assert third["until"] == third["deadline"] == first["deadline"]
    seen = await sql.fetchval("SELECT last_seen - now() FROM worker_stream")
    assert seen > timedelta(seconds=1100)


async def test_overdue_and_due_are_told(
    moving: Store, clock: DatabaseUnderTest, sql: asyncpg.Connection
) -> None:
    assert not await clock.is_overdue()
    assert await clock.next_due_seconds(["q"]) is None
    await sql.execute(
        _JOB + "INSERT INTO waiting (job_id, queue, rank, run_at, attempt, redeliveries, version,"
        " update_time, expire_time, keyed) SELECT id, 'q', 0, now() + interval '1 hour', 0, 0, 1,"
        " now(), now() + interval '2 hours', false FROM job"
    )
    due = await clock.next_due_seconds(["other", "q"])
    assert due is not None
    assert 3500 < due <= 3600
    await clock.advance(5000)
    assert await clock.next_due_seconds(["q"]) == 0
    assert not await clock.is_overdue()
    await clock.advance(5000)
    assert await clock.is_overdue()
    await moving.upkeep.expire(10, 60)
    assert not await clock.is_overdue()
    assert (await clock.count_ended(["q"]))[JobState.FAILED] == 1
    await clock.advance(60)
    assert await clock.is_overdue(), "its retention is over"
