"""Each fault is planted in a real database, and told by its name; a healthy one has none."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from jobsvc.app import Replica
from jobsvc.domain.finding import CHECKS, Check, Finding, Question, Severity
from jobsvc.domain.inconsistency import Kind
from jobsvc.settings import SCHEMA, Settings
from jobsvc.store.diagnosis import diagnose
from jobsvc.store.store import Store
from jobsvc.upkeep.by_hand import DUTIES
from tests.store.support.churn import churn
from tests.store.support.samples import COMPLETED, create, end, lease
from tests.support.looking import look_at
from tests.support.pgbouncer import pgbouncer
from tests.support.probe import eventually

_PAGE = Path(__file__).parents[2] / "docs/operations/doctor.md"
#: As the PostgreSQL of the tests and their machine may be, and where only its store is open.
_OF_THE_TESTS = {Check.NOT_DURABLE, Check.NO_SERVER}


async def look(dsn: str, pooler: str | None = None, **settings: Any) -> dict[str, Finding]:
    """What is found, by kind; without what is true of every PostgreSQL of the tests."""
    asked = Settings(dsn=dsn, pooler=pooler, **settings)
    found = {one.kind: one for one in await diagnose(dsn, asked)}
    return {kind: one for kind, one in found.items() if kind not in _OF_THE_TESTS}


async def test_nothing_is_wrong_with_jobs_in_every_state(dsn: str, store: Store) -> None:
    await create(store)
    [done] = await lease(store)
    await store.lease_ends.ends.submit_one(end(done.id, COMPLETED))
    await create(store)
    await lease(store)
    await create(store)
    assert await look(dsn) == {}


async def test_postgres_that_does_not_sync_is_told(dsn: str, sql: asyncpg.Connection) -> None:
    found = {one.kind for one in await diagnose(dsn, Settings(dsn=dsn))}
    is_off = await sql.fetchval("SELECT current_setting('fsync')") == "off"
    assert (Check.NOT_DURABLE in found) == is_off


async def test_database_without_a_server_is_told(
    dsn: str, start_replica: Callable[[], AbstractAsyncContextManager[Replica]]
) -> None:
    async def kinds() -> set[str]:
        return {one.kind for one in await diagnose(dsn, Settings(dsn=dsn))}

    assert Check.NO_SERVER in await kinds()
    async with start_replica():
        await eventually(
            kinds, lambda found: Check.NO_SERVER not in found, seconds=30, what="the server"
        )
        named = f"{dsn}{'&' if '?' in dsn else '?'}application_name=ours"
    assert Check.NO_SERVER not in {one.kind for one in await diagnose(named, Settings(dsn=named))}
    alone = await diagnose(dsn, Settings())
    assert Check.NO_SERVER not in {one.kind for one in alone}


async def test_workers_of_several_versions_are_told(
    dsn: str, store: Store, sql: asyncpg.Connection
) -> None:
    for name, version in (("v", "1"), ("w", "2"), ("x", "2"), ("y", "")):
        await sql.execute(_WORKER)
        await sql.execute(
            "UPDATE worker SET worker_id = $1, version = $2 WHERE worker_id = 'new'", name, version
        )
    assert await look(dsn) == {}
    await sql.execute("UPDATE worker SET connect_time = now() - interval '40 min'")
    assert (await look(dsn))[Check.VERSIONS_DIFFER].names == ("q: 1, 2",)
    await sql.execute("DELETE FROM worker WHERE worker_id = 'v'")
    assert await look(dsn) == {}


async def test_pooler_and_a_setting_that_asks_too_much_of_it_are_told(
    dsn: str, store: Store
) -> None:
    await create(store)
    async with pgbouncer(dsn, pool_mode="transaction") as bouncer:
        assert list(await look(bouncer.dsn)) == [Check.POOLER]
        assert list(await look(bouncer.dsn, "session")) == [Check.POOLER_SETTING, Check.POOLER]
    async with pgbouncer(dsn, pool_mode="session") as bouncer:
        assert list(await look(bouncer.dsn, "session")) == []


_WORKER = """
    INSERT INTO worker (
        worker_id, server_id, queues, max_window, lease_count, version, sdk, labels, connect_time,
        last_seen)
    VALUES ('new', 's', '{q}', 1, 1, '', '', '{}', now(), now())
"""
#: Kind, statements that plant it where one job waits in the queue q, and a part of the text.
WORK = [
    (
        Check.QUEUE_WITHOUT_WORKER,
        "UPDATE waiting SET run_at = now() - interval '5 min'",
        "q: 1 ready, the oldest for 30",
    ),
    (Check.QUEUE_PAUSED, "UPDATE queue SET paused = true WHERE name = 'q'", "q: 1 ready"),
    (
        Check.QUEUE_BEHIND,
        f"UPDATE waiting SET run_at = now() - interval '15 min'; {_WORKER}",
        "q: 1 ready, the oldest for 90",
    ),
    (
        Check.EXPIRIES_OVERDUE,
        "UPDATE waiting SET expire_time = now() - interval '3 min'",
        "waiting jobs that expired more than 120 s ago are still there",
    ),
    (
        Check.EXPIRIES_OVERDUE,
        "UPDATE waiting SET start_deadline = now() - interval '3 min'",
        "waiting jobs that expired more than 120 s ago are still there",
    ),
]


@pytest.mark.parametrize(("kind", "statement", "text"), WORK)
async def test_work_that_does_not_flow_is_told(
    dsn: str, store: Store, sql: asyncpg.Connection, kind: Check, statement: str, text: str
) -> None:
    await create(store)
    await sql.execute(statement)
    found = await look(dsn)
    assert list(found) == [kind]
    assert text in found[kind].text


async def test_work_that_came_just_now_may_wait_for_a_worker(
    dsn: str, store: Store, sql: asyncpg.Connection
) -> None:
    await create(store)
    await sql.execute("UPDATE waiting SET run_at = now() - interval '20 s'")
    assert await look(dsn) == {}


async def test_leases_and_retentions_that_nobody_ends_are_told(
    dsn: str, store: Store, sql: asyncpg.Connection
) -> None:
    for _ in range(2):
        await create(store)
        [first] = await lease(store)
        await store.lease_ends.ends.submit_one(end(first.id, COMPLETED))
    await create(store)
    await lease(store)
    await sql.execute("UPDATE lease SET until = now() - interval '3 min'")
    await sql.execute("UPDATE result SET purge_time = now() - interval '2 h'")
    found = await look(dsn)
    assert {kind: one.number for kind, one in found.items()} == {
        Check.LEASES_OVERDUE: 1,
        Check.PURGES_OVERDUE: 2,
    }


@pytest.mark.parametrize(("failed", "is_told"), [(6, True), (4, False)])
async def test_queue_whose_jobs_fail_is_told(
    dsn: str, store: Store, sql: asyncpg.Connection, failed: int, is_told: bool
) -> None:
    for _ in range(8):
        await create(store)
        [first] = await lease(store)
        await store.lease_ends.ends.submit_one(end(first.id, COMPLETED))
    await sql.execute(
        "UPDATE result SET state = 4 WHERE job_id IN (SELECT job_id FROM result LIMIT $1)", failed
    )
    found = await look(dsn)
    assert list(found) == ([Check.JOBS_FAIL] if is_told else [])
    if is_told:
        assert found[Check.JOBS_FAIL].names == ("q: 6 of 8",)
    await sql.execute("UPDATE result SET end_time = end_time - interval '2 h'")
    assert await look(dsn) == {}, "they ended long ago"


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("default_transaction_read_only%3Don", Check.READ_ONLY),
        ("synchronous_commit%3Doff", Check.COMMIT_NOT_AWAITED),
    ],
)
async def test_setting_of_the_role_is_told(
    dsn: str, store: Store, setting: str, kind: Check
) -> None:
    await create(store)
    found = await look(f"{dsn}{'&' if '?' in dsn else '?'}options=-c{setting}")
    assert list(found) == [kind]


async def test_settings_that_contradict_each_other_are_told(
    dsn: str, store: Store, sql: asyncpg.Connection
) -> None:
    async def told(**settings: Any) -> tuple[str, ...]:
        found = await look(dsn, **settings)
        assert set(found) <= {Check.SETTINGS_CONTRADICT}
        return found[Check.SETTINGS_CONTRADICT].names if found else ()

    assert await told(initial_backoff_seconds=700) == (
        "JOBSVC_INITIAL_BACKOFF_SECONDS is 700, above JOBSVC_MAX_BACKOFF_SECONDS (600)",
    )
    await sql.execute("UPDATE queue SET initial_backoff = 30 WHERE name = 'q'")
    assert await told() == ()
    assert await told(max_backoff_seconds=20) == (
        "queue q: initial_backoff is 30 s, above max_backoff (20 s)",
    )


async def test_timeouts_of_the_role_that_contradict_settings_are_told(
    dsn: str, store: Store, sql: asyncpg.Connection
) -> None:
    options = "options=-cidle_session_timeout%3D5min"
    expected = ["idle_session_timeout of the role is 300 s"]
    if sql.get_server_version() >= (17,):
        options += "%20-ctransaction_timeout%3D20s"
        expected.append("transaction_timeout of the role is 20 s, below JOBSVC_STATEMENT_SECONDS")
    found = await look(f"{dsn}{'&' if '?' in dsn else '?'}{options}")
    assert list(found) == [Check.SETTINGS_CONTRADICT]
    names = found[Check.SETTINGS_CONTRADICT].names
    assert [name[: len(part)] for name, part in zip(names, expected, strict=True)] == expected


async def test_autovacuum_that_is_off_for_a_table_and_its_dead_rows_are_told(dsn: str) -> None:
    await churn(dsn, 25_000)
    found = await look(dsn)
    assert sorted(found) == [Check.AUTOVACUUM_OFF, Check.VACUUM_BEHIND]
    assert found[Check.AUTOVACUUM_OFF].names == ("lease",)
    assert found[Check.VACUUM_BEHIND].names == ("lease: 25,000 dead, 0 live",)


async def test_transaction_that_keeps_dead_rows_is_told(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute("SET application_name = 'report'")
    await sql.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue")
    assert await look(dsn) == {}, "it is young, and there is nothing to keep"
    await churn(dsn, 25_000)
    found = await eventually(
        lambda: look(dsn), lambda seen: Check.HORIZON_HELD in seen, seconds=30, what="the holder"
    )
    text = found[Check.HORIZON_HELD].text
    assert f"the transaction of pid {sql.get_server_pid()} (report, " in text
    assert f"pg_terminate_backend({sql.get_server_pid()})" in text


@asynccontextmanager
async def waiting_behind_a_lock(dsn: str) -> AsyncIterator[tuple[int, int]]:
    """A session that waits for another's lock on `job`. Yields their process ids, its own first."""
    holder, waiter = await look_at(dsn), await look_at(dsn)
    try:
        await holder.execute("BEGIN; LOCK TABLE job IN ACCESS EXCLUSIVE MODE")
        count = asyncio.ensure_future(waiter.fetchval("SELECT count(*) FROM job"))
        yield waiter.get_server_pid(), holder.get_server_pid()
        await holder.execute("ROLLBACK")
        await count
    finally:
        await holder.close()
        await waiter.close()


async def test_who_waits_for_a_lock_is_found_with_who_has_it(
    dsn: str, store: Store, sql: asyncpg.Connection
) -> None:
    assert await store.database.fetch("find_lock_waits", SCHEMA, 0.0) == []
    async with waiting_behind_a_lock(dsn) as (waiter, holder):

        async def waits() -> list[tuple[int, str, list[int]]]:
            rows = await store.database.fetch("find_lock_waits", SCHEMA, 0.0)
            return [(row["pid"], row["table"], row["blockers"]) for row in rows]

        found = await eventually(waits, bool, seconds=30, what="a wait")
        assert found == [(waiter, "job", [holder])]
        assert await store.database.fetch("find_lock_waits", SCHEMA, 3600.0) == []


async def test_slot_that_keeps_wal_is_read(dsn: str, store: Store, sql: asyncpg.Connection) -> None:
    if await sql.fetchval("SELECT current_setting('max_replication_slots')") == "0":
        pytest.skip("this PostgreSQL has no replication slots")
    await sql.fetch("SELECT pg_create_physical_replication_slot('left_behind', true)")
    try:
        rows = await store.database.fetch("read_slots")
    finally:
        await sql.fetch("SELECT pg_drop_replication_slot('left_behind')")
    (row,) = [row for row in rows if row["name"] == "left_behind"]
    assert not row["active"]
    assert row["bytes"] >= 0


async def test_sizes_are_those_of_the_tables_and_their_indexes(
    store: Store, sql: asyncpg.Connection
) -> None:
    await create(store)
    rows = {r["name"]: r for r in await store.database.fetch("read_table_facts", SCHEMA)}
    assert rows["waiting_order"]["index_of"] == "waiting"
    assert rows["waiting"]["index_of"] is None
    bytes_now = await sql.fetchval("SELECT pg_relation_size('waiting_order'::regclass)")
    assert rows["waiting_order"]["bytes"] == bytes_now > 0


async def test_role_that_lacks_a_right_is_told_and_the_database_is_looked_at(
    dsn: str, store: Store, sql: asyncpg.Connection
) -> None:
    await create(store)
    await sql.execute("CREATE ROLE stranger")
    options = "options=-crole%3Dstranger%20-csynchronous_commit%3Doff"
    try:
        found = await look(f"{dsn}{'&' if '?' in dsn else '?'}{options}")
    finally:
        await sql.execute("DROP ROLE stranger")
    assert list(found) == [Check.NOT_READY, Check.COMMIT_NOT_AWAITED]


async def test_rows_that_contradict_each_other_are_told(
    dsn: str, store: Store, sql: asyncpg.Connection
) -> None:
    job_id = await create(store)
    await sql.execute("DELETE FROM waiting")
    found = await look(dsn)
    assert list(found) == ["job_nowhere"]
    assert found["job_nowhere"].names == (job_id,)


def test_page_has_every_kind_with_its_severity() -> None:
    page = _PAGE.read_text(encoding="utf-8")
    flowing, succeeding, trusted, rows, upkeep = page.split("\n## ")[1:]
    parts = {
        Question.FLOWING: flowing,
        Question.SUCCEEDING: succeeding,
        Question.TRUSTED: trusted,
    }
    for question, part in parts.items():
        told = re.findall(r"^\| `(\w+)` \| (\w+) \|", part, re.MULTILINE)
        assert told == [(c.value, s.value) for c, (q, s) in CHECKS.items() if q is question]
    assert re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE) == list(Kind)
    told = re.findall(r"^\| `([\w-]+)` \| (\w+) \|", upkeep, re.MULTILINE)
    assert told == [(name, "yes" if duty.run_batch else "no") for name, duty in DUTIES.items()]


def test_every_check_has_its_question_and_severity() -> None:
    assert list(CHECKS) == list(Check)
    assert {severity for _, severity in CHECKS.values()} == set(Severity)
