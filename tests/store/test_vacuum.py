"""The vacuum of the tables that jobs go through, and who makes it useless."""

import asyncpg
import pytest

from jobsvc.domain.dead_rows import HorizonHolder
from jobsvc.store.store import Store
from tests.store.support.churn import churn
from tests.support.looking import look_at


async def test_table_with_many_dead_rows_is_vacuumed(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    assert await store.upkeep.dirty_tables() == []
    await churn(dsn, 25_000)
    assert await store.upkeep.dirty_tables() == [("lease", 25_000, True)]
    await store.upkeep.vacuum("lease")
    assert await sql.fetchval("SELECT pg_stat_get_dead_tuples('lease'::regclass)") == 0
    assert await sql.fetchval("SELECT pg_stat_get_vacuum_count('lease'::regclass)") == 1
    assert await store.upkeep.dirty_tables() == []


async def test_few_dead_rows_are_left_to_autovacuum(store: Store, dsn: str) -> None:
    await churn(dsn, 10_000)
    assert await store.upkeep.dirty_tables() == []


async def found(store: Store) -> HorizonHolder:
    holder = await store.upkeep.horizon_holder()
    assert holder is not None
    return holder


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "READ COMMITTED"])
async def test_transaction_that_holds_the_horizon_is_found(
    store: Store, dsn: str, sql: asyncpg.Connection, isolation: str
) -> None:
    assert await store.upkeep.horizon_holder() is None
    await sql.execute("SET application_name = 'report'")
    await sql.execute(f"BEGIN ISOLATION LEVEL {isolation}")
    # Under READ COMMITTED it holds no snapshot between statements, but its own id.
    await sql.execute("INSERT INTO queue (name) VALUES ('another')")
    later = await look_at(dsn)
    try:
        await later.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue")
        holder = await found(store)
    finally:
        await later.close()
    assert holder[:5] == (
        "session",
        sql.get_server_pid(),
        "report",
        await sql.fetchval("SELECT current_user::text"),
        "idle in transaction",
    )
    assert holder.seconds is not None
    assert 0 <= holder.seconds < 60
    await sql.execute("ROLLBACK")
    assert await store.upkeep.horizon_holder() is None


async def test_of_several_holders_the_oldest_is_found(
    store: Store, dsn: str, sql: asyncpg.Connection
) -> None:
    begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue"
    connections = [await look_at(dsn) for _ in range(3)]
    try:
        # The first that connected is not the first that began.
        for connection in (*connections[1:], connections[0]):
            await connection.execute(begin)
            await sql.execute("SELECT txid_current()")
        assert (await found(store)).pid == connections[1].get_server_pid()
        await connections[1].execute("ROLLBACK")
        assert (await found(store)).pid == connections[2].get_server_pid()
    finally:
        for connection in connections:
            await connection.close()


async def test_transaction_in_another_database_holds_nothing_here(
    store: Store, postgres: str
) -> None:
    other = await asyncpg.connect(postgres)
    try:
        await other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
        assert await store.upkeep.horizon_holder() is None
    finally:
        await other.close()


async def test_prepared_transaction_is_found(store: Store, sql: asyncpg.Connection) -> None:
    if await sql.fetchval("SELECT current_setting('max_prepared_transactions')") == "0":
        pytest.skip("this PostgreSQL prepares no transactions")
    await sql.execute(
        "BEGIN; INSERT INTO queue (name) VALUES ('another'); PREPARE TRANSACTION 'tx-1'"
    )
    try:
        holder = await found(store)
        assert (holder.kind, holder.pid, holder.name) == ("prepared", None, "tx-1")
        assert holder.seconds is not None
    finally:
        await sql.execute("ROLLBACK PREPARED 'tx-1'")
