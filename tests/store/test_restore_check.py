"""A restored database is put right: once, all or nothing, and only when nobody serves on it."""

from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from jobsvc.domain.queue import QueuePolicy
from jobsvc.domain.restored import STEP, notes
from jobsvc.settings import SCHEMA
from jobsvc.store.ddl import DatabaseUnsuitable
from jobsvc.store.migrate import migrate
from jobsvc.store.restore_check import check_restored
from jobsvc.store.store import Store, open_store
from tests.store.support.samples import FAILED, TABLES, create, create_leased, end, tables_of

KEEP_SECONDS = 3600.0


async def rows(sql: asyncpg.Connection) -> dict[str, list[str]]:
    """Everything that there is."""
    names = (*TABLES, "worker", "worker_stream", "queue", "secret", "restore_check")
    return {name: [str(row) for row in await sql.fetch(f"SELECT * FROM {name}")] for name in names}


async def check(dsn: str, **options: bool) -> Any:
    return await check_restored(dsn, SCHEMA, KEEP_SECONDS, **options)


async def save_schemas(dsn: str, count: int) -> None:
    """Gives a queue so many schemas, one after the other."""
    async with open_store(dsn, "s", 2, 10, 10) as store:
        for n in range(count):
            policy = QueuePolicy(input_schema=f'{{"maxProperties": {n}}}')
            await store.queues.update("q", True, lambda _, policy=policy: policy)


@pytest.fixture
async def job_ids(dsn: str) -> dict[str, str]:
    """Jobs in every state, by words; nobody serves on the database."""
    async with open_store(dsn, "s", 2, 10, 10) as store:
        cancelled = await create_leased(store, unique_key="k")
        leased = await create_leased(store, start_within_seconds=30.0)
        failed = await create_leased(store)
        await store.lease_ends.ends.submit_one(end(failed, FAILED))
        done = await create_leased(store)
        await store.lease_ends.ends.submit_one(end(done))
        waiting = await create(store)
    connection = await asyncpg.connect(dsn, server_settings={"search_path": SCHEMA})
    try:
        await connection.execute(
            "UPDATE lease SET cancel_request_time = clock_timestamp(), cancel_reason = 'enough'"
            " WHERE job_id = $1",
            cancelled.job_id,
        )
        await connection.execute(
            "INSERT INTO worker_stream VALUES ('w', 's', 'd', clock_timestamp())"
        )
    finally:
        await connection.close()
    return {
        "cancelled": cancelled.job_id,
        "leased": leased.job_id,
        "failed": failed.job_id,
        "done": done.job_id,
        "waiting": waiting,
    }


async def test_leases_end_without_an_attempt(
    dsn: str, sql: asyncpg.Connection, job_ids: dict[str, str]
) -> None:
    before = await sql.fetchrow("SELECT * FROM lease WHERE job_id = $1", job_ids["leased"])
    found = await check(dsn)
    assert (found.leases, found.cancelled_leases) == (1, 1)
    row = await sql.fetchrow("SELECT * FROM waiting WHERE job_id = $1", job_ids["leased"])
    assert (row["attempt"], row["run_at"]) == (0, before["run_at"])
    assert row["version"] == before["version"] + STEP + 1
    # It had begun in time.
    assert row["start_deadline"] is None
    assert await tables_of(sql, job_ids["leased"]) == {"job", "waiting"}


async def test_requested_cancel_is_carried_out(
    dsn: str, sql: asyncpg.Connection, job_ids: dict[str, str]
) -> None:
    await check(dsn)
    assert await tables_of(sql, job_ids["cancelled"]) == {"job", "result"}  # the key is free
    row = await sql.fetchrow("SELECT * FROM result WHERE job_id = $1", job_ids["cancelled"])
    assert (row["state"], row["attempt"], row["cancel_reason"]) == (5, 1, "enough")
    assert (row["purge_time"] - row["end_time"]).total_seconds() == KEEP_SECONDS


async def test_versions_of_all_that_may_change_rise(
    dsn: str, sql: asyncpg.Connection, job_ids: dict[str, str]
) -> None:
    revision = await sql.fetchval("SELECT revision FROM queue")
    await check(dsn)
    versions = {
        str(row["job_id"]): row["version"]
        for table in ("waiting", "result")
        for row in await sql.fetch(f"SELECT job_id, version FROM {table}")
    }
    assert versions.pop(job_ids["done"]) == 3
    assert all(version > STEP for version in versions.values())
    assert await sql.fetchval("SELECT revision FROM queue") == revision + STEP


async def test_check_is_done_once(
    dsn: str, sql: asyncpg.Connection, job_ids: dict[str, str]
) -> None:
    assert (await check(dsn)).check_time is None
    before = await rows(sql)
    assert (await check(dsn)).check_time is not None
    assert await rows(sql) == before


async def test_server_that_was_started_again_is_checked_again(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await check(dsn)
    started = datetime(2001, 1, 1, tzinfo=UTC)
    await sql.execute("UPDATE restore_check SET server_start_time = $1", started)
    assert (await check(dsn)).check_time is None
    assert (await check(dsn)).check_time is not None


async def test_tables_of_a_dump_were_not_checked(dsn: str, sql: asyncpg.Connection) -> None:
    await check(dsn)
    # A dump brings the row along, and makes tables with other oids.
    await sql.execute("UPDATE restore_check SET table_oid = 1")
    assert (await check(dsn)).check_time is None
    assert await sql.fetchval("SELECT count(*) FROM restore_check") == 1


async def test_dry_run_changes_nothing(
    dsn: str, sql: asyncpg.Connection, job_ids: dict[str, str]
) -> None:
    before = await rows(sql)
    found = await check(dsn, dry_run=True)
    assert (found.leases, found.cancelled_leases, found.waiting) == (1, 1, 1)
    assert (found.unsuccessful, found.presences, found.has_session_key) == (1, 1, True)
    assert await rows(sql) == before
    assert await sql.fetchval("SELECT last_value FROM payload_schema_id_seq") == 1


async def test_presence_of_before_is_forgotten(
    dsn: str, sql: asyncpg.Connection, job_ids: dict[str, str]
) -> None:
    await check(dsn)
    assert await sql.fetch("SELECT * FROM worker_stream") == []


async def test_leases_of_servers_that_are_connected_stay(
    dsn: str, sql: asyncpg.Connection, store: Store
) -> None:
    of_before, cancelled, theirs = [await create_leased(store) for _ in range(3)]
    await sql.execute(
        "UPDATE lease SET start_time = pg_postmaster_start_time() - interval '1 second',"
        " cancel_request_time = CASE WHEN job_id = $2 THEN clock_timestamp() END"
        " WHERE job_id IN ($1, $2)",
        of_before.job_id,
        cancelled.job_id,
    )
    found = await check(dsn)
    assert (found.leases, found.cancelled_leases, found.later_leases) == (1, 1, 1)
    assert await sql.fetchval("SELECT job_id::text FROM lease") == theirs.job_id
    assert any("may be theirs" in note for note in notes(found))


async def test_sessions_are_known_by_the_name_that_the_dsn_gives_them(dsn: str) -> None:
    named = f"{dsn}{'&' if '?' in dsn else '?'}application_name=orders"
    async with open_store(named, "s", 2, 10, 10):
        assert (await check(named)).sessions > 0


async def test_session_key_that_is_missing_is_made(dsn: str, sql: asyncpg.Connection) -> None:
    former = await sql.fetchval("DELETE FROM secret RETURNING value")
    async with open_store(dsn, "s", 2, 10, 10) as store:
        with pytest.raises(DatabaseUnsuitable, match=r"^the database has no session key"):
            await store.credentials.session_key()
    assert not (await check(dsn)).has_session_key
    key = await sql.fetchval("SELECT value FROM secret")
    assert len(key) == 32
    assert key != former


async def test_server_that_replicas_would_refuse_is_refused(
    dsn: str, sql: asyncpg.Connection, job_ids: dict[str, str]
) -> None:
    await sql.execute("INSERT INTO timeline SELECT system_identifier, 7 FROM pg_control_system()")
    before = await rows(sql)
    with pytest.raises(DatabaseUnsuitable, match=r"^replicas would not use this server: it is on"):
        await check(dsn)
    assert await rows(sql) == before


async def test_role_that_owns_nothing_is_told(dsn: str, sql: asyncpg.Connection) -> None:
    await sql.execute("CREATE ROLE intern")
    try:
        with pytest.raises(DatabaseUnsuitable):
            await check(f"{dsn}{'&' if '?' in dsn else '?'}options=-crole%3Dintern")
    finally:
        await sql.execute("DROP ROLE intern")


async def test_schema_that_is_not_of_this_release_is_refused(
    dsn: str, sql: asyncpg.Connection
) -> None:
    await sql.execute("DELETE FROM schema_migration WHERE name = '0017_restore_check'")
    with pytest.raises(DatabaseUnsuitable, match="lacks the migration 0017_restore_check"):
        await check(dsn)


async def test_sequence_that_a_copy_left_behind_is_put_right_by_migrate(
    dsn: str, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await save_schemas(dsn, 3)
    await sql.execute("ALTER SEQUENCE payload_schema_id_seq RESTART")
    assert await migrate(dsn) == []
    assert "it goes on behind 3" in caplog.text
    assert await sql.fetchval("SELECT nextval('payload_schema_id_seq')") == 4
    caplog.clear()
    assert await migrate(dsn) == []
    assert caplog.text == ""


async def test_sequence_that_a_copy_left_behind_costs_nobody_an_error(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """A role that only serves cannot put it right."""
    await save_schemas(dsn, 3)
    await sql.execute("ALTER SEQUENCE payload_schema_id_seq RESTART")
    await save_schemas(dsn, 5)
    ids = await sql.fetch("SELECT id FROM payload_schema ORDER BY id")
    assert [row["id"] for row in ids] == [1, 2, 3, 4, 5]
