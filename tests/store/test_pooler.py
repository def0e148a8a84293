"""Behind a real PgBouncer: what it keeps is found out, and every statement has its settings."""

import asyncio
import logging
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.store.database import Database, open_database
from jobsvc.store.dsn import read_dsn
from jobsvc.store.hints import Hints
from jobsvc.store.migrate import migrate
from jobsvc.store.pooler import find_pooling
from jobsvc.store.servers import Servers
from jobsvc.store.sessions import Pooling, UnnamedStatements
from tests.api.support.database_link import database_link
from tests.store.support.samples import until_blocked
from tests.support.pgbouncer import pgbouncer, version
from tests.support.probe import eventually

#: The first version that carries prepared statements.
CARRYING = (1, 21)
SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
EXPECTED = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",
    "statement_timeout": "9000",
}


def shared() -> Pooling:
    """What a transaction pooler keeps."""
    return Pooling.PREPARED if version() >= CARRYING else Pooling.TRANSACTION


@pytest.fixture(params=["session", "transaction"])
async def database(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A pool of two behind PgBouncer, in both of its modes."""
    async with (
        pgbouncer(dsn, pool_mode=request.param, server_round_robin=1) as bouncer,
        open_database(bouncer.dsn, pool_size=2, statement_seconds=9.0) as opened,
    ):
        yield opened


async def test_each_mode_is_found_out(dsn: str) -> None:
    assert await find_pooling(Servers(read_dsn(dsn))) is Pooling.SESSION
    for mode, pooling in (("session", Pooling.SESSION), ("transaction", shared())):
        async with pgbouncer(dsn, pool_mode=mode) as bouncer:
            assert await find_pooling(Servers(read_dsn(bouncer.dsn))) is pooling
    async with pgbouncer(dsn, pool_mode="transaction", server_round_robin=1) as bouncer:
        for _ in range(3):  # of sessions that are there already, too
            assert await find_pooling(Servers(read_dsn(bouncer.dsn))) is shared()


async def test_postgresql_itself_is_known_by_one_connection(dsn: str) -> None:
    with tempfile.TemporaryDirectory(prefix="jobsvc-link-") as folder:
        async with database_link(dsn, Path(folder)) as link:
            assert await find_pooling(Servers(read_dsn(link.dsn))) is Pooling.SESSION
            assert link.opened == 1


async def test_pool_of_one_session_counts_as_one_that_keeps_nothing(dsn: str) -> None:
    async with pgbouncer(dsn, pool_mode="transaction", default_pool_size=1) as bouncer:
        assert await find_pooling(Servers(read_dsn(bouncer.dsn))) is Pooling.TRANSACTION


async def test_every_statement_runs_under_the_settings(database: Database) -> None:
    async with database.transaction() as connection:
        rows = await connection.fetch(SETTINGS, list(EXPECTED))
    assert {row["name"]: row["setting"] for row in rows} == EXPECTED
    async with asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(database.fetch("read_queues", ["a"], True))
    for _ in range(4):  # each in the session whose turn it is
        assert await database.fetch("read_queues", ["a"], True) == []
    await database.fetch("vacuum_lease")


async def test_settings_of_a_transaction_end_with_it(dsn: str, sql: asyncpg.Connection) -> None:
    async with pgbouncer(dsn, pool_mode="transaction") as bouncer:
        async with open_database(bouncer.dsn, pool_size=2, statement_seconds=9.0) as database:
            await database.fetch("read_queues", ["a"], True)
        other = await asyncpg.connect(bouncer.dsn, statement_cache_size=0)
        rows = await other.fetch("SELECT name FROM pg_settings WHERE source = 'session'")
        # Those are the pooler's own.
        assert {row["name"] for row in rows} <= {"application_name", "client_encoding"}
        await other.close()


async def test_session_mode_named_on_a_transaction_pooler_is_told(dsn: str) -> None:
    async with pgbouncer(dsn, pool_mode="transaction", server_round_robin=1) as bouncer:
        # Two sessions, of which one is told the settings and the other is asked for them.
        one, two = [await asyncpg.connect(bouncer.dsn, statement_cache_size=0) for _ in range(2)]
        async with one.transaction(), two.transaction():
            pass
        with pytest.raises(DatabaseUnavailable, match=r"does not keep its settings|another sess"):
            async with open_database(bouncer.dsn, 1, 9.0, pooling=Pooling.SESSION):
                pass
        for connection in (one, two):
            connection.terminate()


async def test_statement_without_a_name_takes_one_round_trip(dsn: str) -> None:
    connection = await asyncpg.connect(
        dsn, connection_class=UnnamedStatements, statement_cache_size=0
    )
    said: list[str] = []
    connection.add_log_listener(lambda _, message: said.append(message.message))
    assert await connection.fetchval("SELECT $1::int", 1) == 1
    await connection.execute("SET log_min_duration_statement = 0; SET client_min_messages = log")
    said.clear()
    assert await connection.fetchval("SELECT $1::int", 2) == 2
    steps = re.findall(r" ms +(parse|bind|execute) ", " ".join(said))
    assert steps == ["parse", "bind", "execute"]
    await connection.close()


async def test_cancelled_call_leaves_no_transaction_and_no_lock(
    database: Database, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with sql.transaction():
        await sql.execute("LOCK TABLE jobsvc.queue IN ACCESS EXCLUSIVE MODE")
        asking = asyncio.create_task(database.fetch("declare_queues", ["a"]))
        await until_blocked(sql)
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    await eventually(lambda: open_transactions(sql), lambda count: count == 0)
    assert await sql.fetchval("SELECT count(*) FROM jobsvc.queue") == 0
    for passes in range(40):  # Wherever it is, in BEGIN or in COMMIT.
        asking = asyncio.create_task(database.fetch("read_queues", ["a"], True))
        for _ in range(passes):
            await asyncio.sleep(0)  # One pass of the loop.
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    await eventually(lambda: open_transactions(sql), lambda count: count == 0)
    await database.fetch("declare_queues", ["b"])
    assert [r.message for r in caplog.records if r.levelno >= logging.ERROR] == []


async def open_transactions(sql: asyncpg.Connection) -> int:
    """Sessions of others that are in a transaction."""
    count: int = await sql.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"  # The autovacuum may be at work.
    )
    return count


async def test_refused_transaction_is_rolled_back(
    database: Database, sql: asyncpg.Connection
) -> None:
    async def fail_half_way() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO jobsvc.queue (name) VALUES ('a')")
            raise LookupError

    with pytest.raises(LookupError):
        await fail_half_way()
    await eventually(lambda: open_transactions(sql), lambda count: count == 0)
    assert await sql.fetchval("SELECT count(*) FROM jobsvc.queue") == 0


async def test_statement_timeout_holds(dsn: str, sql: asyncpg.Connection) -> None:
    async with (
        pgbouncer(dsn, pool_mode="transaction") as bouncer,
        open_database(bouncer.dsn, pool_size=1, statement_seconds=0.3) as database,
    ):
        async with sql.transaction():
            await sql.execute("LOCK TABLE jobsvc.queue IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(DatabaseUnavailable) as caught:
                await database.fetch("declare_queues", ["a"])
            assert caught.value.is_refusal
            await eventually(lambda: open_transactions(sql), lambda count: count == 0)
        await database.fetch("declare_queues", ["a"])


async def test_call_that_waits_for_the_pooler_can_be_cancelled(dsn: str) -> None:
    async with (
        pgbouncer(dsn, pool_mode="transaction", default_pool_size=1) as bouncer,
        open_database(bouncer.dsn, 1, 9.0, pooling=Pooling.TRANSACTION) as database,
    ):
        other = await asyncpg.connect(bouncer.dsn, statement_cache_size=0)
        async with other.transaction():
            await other.fetchval("SELECT 1")
            asking = asyncio.create_task(database.fetch("read_queues", ["a"], True))
            await asyncio.wait([asking], timeout=0.3)  # A wait that does not end is what is tested.
            assert not asking.done()
            asking.cancel()
            await asyncio.wait([asking], timeout=6)
            assert asking.cancelled()
        assert await database.fetch("read_queues", ["a"], True) == []
        await other.close()


async def test_pooler_without_a_free_session_is_told_and_works_again(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    full = {"default_pool_size": 1, "query_wait_timeout": 1}
    async with (
        pgbouncer(dsn, pool_mode="transaction", **full) as bouncer,
        open_database(bouncer.dsn, 1, 9.0, pooling=Pooling.TRANSACTION) as database,
    ):
        other = await asyncpg.connect(bouncer.dsn, statement_cache_size=0)
        async with other.transaction():
            await other.fetchval("SELECT 1")
            with pytest.raises(DatabaseUnavailable):
                await database.fetch("read_queues", ["a"], True)
        assert await database.fetch("read_queues", ["a"], True) == []
        await other.close()
    told = [r.message for r in caplog.records if r.message.startswith("the database")]
    assert "the pooler had no free connection to the database in time" in told[0]
    assert "works again" in told[1]


async def said_by(dsn: str) -> str:
    """Why there is no connection."""
    with pytest.raises(DatabaseUnavailable) as caught:
        async with open_database(dsn, pool_size=1, statement_seconds=1.0):
            pass
    return caught.value.message


async def test_each_refusal_of_a_pooler_is_a_sentence(dsn: str) -> None:
    async with pgbouncer(dsn, pool_mode="transaction", max_client_conn=1) as bouncer:
        only = await asyncpg.connect(bouncer.dsn)
        assert (await said_by(bouncer.dsn)).startswith("the pooler takes no more clients")
        await only.close()
    async with pgbouncer(dsn, pool_mode="statement") as bouncer:
        assert (await said_by(bouncer.dsn)).startswith("the pooler is in statement mode")
        user = await said_by(bouncer.dsn.replace("://jobsvc@", "://nobody@"))
        assert user.startswith("the pooler knows no such user")
        absent = await said_by(re.sub(r"/test_\d+\?", "/absent?", bouncer.dsn))
        assert absent.endswith('database "absent" does not exist')
        assert "no PostgreSQL" not in absent
        options = await said_by(bouncer.dsn + "&options=-cgeqo=off")
        assert options.startswith("the pooler refuses the options of JOBSVC_DSN")
    full = {"default_pool_size": 1, "query_wait_timeout": 1}
    async with pgbouncer(dsn, pool_mode="session", **full) as bouncer:
        only = await asyncpg.connect(bouncer.dsn)
        said = await said_by(bouncer.dsn)
        assert said.startswith("the pooler had no free connection to the database in time")
        await only.close()


async def test_hints_need_a_session_and_say_once_when_they_have_none(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with pgbouncer(dsn, pool_mode="session") as bouncer:
        hints = Hints(bouncer.dsn, "a")
        running = asyncio.ensure_future(hints.run())
        async with asyncio.timeout(40):
            await hints.until_probed()
        running.cancel()
    async with pgbouncer(dsn, pool_mode="transaction") as bouncer:
        hints = Hints(bouncer.dsn, "b")
        running = asyncio.ensure_future(hints.run())
        await eventually(lambda: "LISTEN is silent" in caplog.text)
        bouncer.kill()
        await bouncer.start()
        await eventually(lambda: "works again" in caplog.text)
        await asyncio.wait([running], timeout=4)  # Longer than silence takes to be told.
        assert caplog.text.count("LISTEN is silent") == 1
        running.cancel()


async def test_migration_leaves_nothing_on_the_session_it_was_lent(dsn: str) -> None:
    async with pgbouncer(dsn, pool_mode="transaction") as bouncer:
        for schema in ("one", "two"):
            assert len(await migrate(bouncer.dsn, schema)) > 1
        left = await asyncpg.connect(bouncer.dsn, statement_cache_size=0)
        assert await left.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
        assert await left.fetchval(LOCKS) == 0
        assert await left.fetchval("SHOW search_path") == '"$user", public'
        await left.close()
