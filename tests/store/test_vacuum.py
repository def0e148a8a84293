"""The vacuum of the tables that jobs go through."""

import asyncpg

from jobsvc.store.store import Store
from tests.store.support.churn import churn


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
