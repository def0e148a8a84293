"""The vacuum of the tables that jobs go through."""

import asyncpg

from jobsvc.store.store import Store
from tests.support.looking import look_at


async def churn(dsn: str, jobs: int) -> None:
    """Leaves dead rows in `lease`; the connection is closed, so that they have been counted."""
    connection = await look_at(dsn)
    try:
        await connection.execute("ALTER TABLE lease SET (autovacuum_enabled = off)")
        await connection.execute(
            """
            INSERT INTO lease (
                job_id, lease_id, queue, rank, attempt, redeliveries, version, update_time, keyed,
                worker_id, start_time, duration, until, deadline)
            SELECT gen_random_uuid(), n, 'q', 0, 1, 0, 2, now(), false, 'w', now(), 30, now(), now()
            FROM generate_series(1, $1::integer) AS n
            """,
            jobs,
        )
        await connection.execute("DELETE FROM lease")
    finally:
        await connection.close()


async def test_table_with_many_dead_rows_is_vacuumed(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    assert await store.upkeep.vacuum() == 0
    await churn(dsn, 25_000)
    assert await store.upkeep.vacuum() == 1
    assert await sql.fetchval("SELECT pg_stat_get_dead_tuples('lease'::regclass)") == 0
    assert await sql.fetchval("SELECT pg_stat_get_vacuum_count('lease'::regclass)") == 1
    assert await store.upkeep.vacuum() == 0


async def test_few_dead_rows_are_left_to_autovacuum(store: Store, dsn: str) -> None:
    await churn(dsn, 10_000)
    assert await store.upkeep.vacuum() == 0
