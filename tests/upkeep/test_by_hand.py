"""Duties that are run by hand do what a server does; on trial they leave nothing."""

from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from jobsvc.store.store import Store
from jobsvc.upkeep.by_hand import DUTIES, Result, run
from tests.store.support.samples import COMPLETED, create, end, lease
from tests.support.settings import TEST_SETTINGS


async def counts(sql: asyncpg.Connection) -> dict[str, int]:
    """The numbers of rows of all that these duties change."""
    row = await sql.fetchrow(
        """
        SELECT
            (SELECT count(*) FROM job) AS job,
            (SELECT count(*) FROM waiting) AS waiting,
            (SELECT count(*) FROM result) AS result,
            (SELECT count(*) FROM bulk_operation) AS bulk_operation,
            (SELECT count(*) FROM audit_entry) AS audit_entry,
            (SELECT count(*) FROM queue_minute) AS queue_minute,
            (SELECT count(*) FROM payload_schema) AS payload_schema
        """
    )
    assert row is not None
    return dict(row)


async def to_expire(store: Store, sql: asyncpg.Connection, number: int) -> None:
    for _ in range(number):
        await create(store)
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 min'")
    await create(store)


async def to_prune(store: Store, sql: asyncpg.Connection, number: int) -> None:
    for _ in range(number):
        await create(store)
        [first] = await lease(store)
        await store.lease_ends.ends.submit_one(end(first.id, COMPLETED))
    await sql.execute("UPDATE result SET purge_time = now() - interval '1 min'")
    await create(store)


async def bulk_operations_to_prune(_: Store, sql: asyncpg.Connection, number: int) -> None:
    await sql.execute(
        """
        INSERT INTO bulk_operation (
            id, owner_service, owner_user, wanted, action, rate, most, state, version, done,
            skipped, create_time, update_time, next_time, end_time, purge_time)
        SELECT gen_random_uuid(), '', '', '{}', '{}', 0, 0, 2, 1, 0, '{}', now(), now(), now(),
            now(), now() - interval '1 min'
        FROM generate_series(1, $1::integer)
        """,
        number,
    )


async def entries_to_prune(_: Store, sql: asyncpg.Connection, number: int) -> None:
    await sql.execute(
        """
        INSERT INTO audit_entry
        SELECT gen_random_uuid(), now() - age * interval '1 second', '', '', '', 'CancelJob', '',
            'OK', '', 1
        FROM unnest(array_fill($2::float8, ARRAY[$1::integer]) || 0.0::float8) AS age
        """,
        number,
        TEST_SETTINGS.audit_retention_seconds + 60,
    )


async def minutes_to_prune(_: Store, sql: asyncpg.Connection, number: int) -> None:
    await sql.execute(
        """
        INSERT INTO queue_minute (queue, minute)
        SELECT 'q', now() - n * interval '1 minute'
        FROM generate_series(1442, 1441 + $1::integer) AS n UNION ALL SELECT 'q', now()
        """,
        number,
    )


async def schemas_to_prune(_: Store, sql: asyncpg.Connection, number: int) -> None:
    await sql.execute(
        """
        INSERT INTO payload_schema (digest, definition, unused_since)
        SELECT n::text::bytea, '{}', now() - interval '2 days'
        FROM generate_series(1, $1::integer) AS n
        """,
        number,
    )


CASES = {
    "expire": (to_expire, "waiting"),
    "prune": (to_prune, "result"),
    "prune-bulk-operations": (bulk_operations_to_prune, "bulk_operation"),
    "prune-audit": (entries_to_prune, "audit_entry"),
    "prune-history": (minutes_to_prune, "queue_minute"),
    "prune-schemas": (schemas_to_prune, "payload_schema"),
}


@pytest.mark.parametrize(("name", "case"), CASES.items())
async def test_duty_is_tried_and_then_done(
    store: Store,
    sql: asyncpg.Connection,
    name: str,
    case: tuple[Callable[[Store, asyncpg.Connection, int], Awaitable[None]], str],
) -> None:
    plant, table = case
    await plant(store, sql, 3)
    before = await counts(sql)
    run_batch = DUTIES[name].run_batch
    assert run_batch is not None
    assert await run(store, TEST_SETTINGS, run_batch, dry_run=True) == Result(3, is_all=False)
    assert await counts(sql) == before
    assert await run(store, TEST_SETTINGS, run_batch, dry_run=False) == Result(3, is_all=True)
    assert (await counts(sql))[table] == before[table] - 3
    assert await run(store, TEST_SETTINGS, run_batch, dry_run=True) == Result(0, is_all=True)


async def test_more_than_a_batch_is_done(store: Store, sql: asyncpg.Connection) -> None:
    await bulk_operations_to_prune(store, sql, 2500)
    run_batch = DUTIES["prune-bulk-operations"].run_batch
    assert run_batch is not None
    assert await run(store, TEST_SETTINGS, run_batch, dry_run=True) == Result(1000, is_all=False)
    assert await run(store, TEST_SETTINGS, run_batch, dry_run=False) == Result(2500, is_all=True)


def test_every_duty_that_is_run_by_hand_is_tried() -> None:
    assert {name for name, duty in DUTIES.items() if duty.run_batch} == set(CASES)
