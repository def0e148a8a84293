"""An old primary that was not stopped, and the standby that was promoted: only one is used."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.settings import SCHEMA
from jobsvc.store.database import Database, open_database
from jobsvc.store.ddl import ddl_transaction
from jobsvc.store.dsn import read_dsn
from jobsvc.store.hints import Hints
from jobsvc.store.migrate import migrate
from jobsvc.store.pooler import find_pooling
from jobsvc.store.servers import Servers
from jobsvc.store.store import Store, open_store
from jobsvc.store.timelines import StaleServer
from tests.store.support.samples import new_job
from tests.support.probe import eventually
from tests.support.standby import DATABASE, USER, Pair, Server, pair

SIZE = 4
JOBS = "SELECT count(*) FROM jobsvc.job"
SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'jobsvc%'"
    " AND pid <> pg_backend_pid()"
)
#: Two sessions of the pool, as they may be lost at any time.
LOSE_TWO = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'jobsvc' LIMIT 2"
)


@pytest.fixture
async def servers() -> AsyncIterator[Pair]:
    async with pair() as running:
        await migrate(running.primary.dsn)
        await running.caught_up()
        yield running


def hosts(*some: Server) -> str:
    places = ",".join(server.address for server in some)
    return f"postgresql://{USER}@{places}/{DATABASE}?target_session_attrs=read-write"


@asynccontextmanager
async def hinted(server: Server, database: Database) -> AsyncIterator[None]:
    """The connections for hints of a replica, which share what they have seen."""
    hints = Hints(server.dsn, "old", servers=database.servers)
    running = asyncio.create_task(hints.run())
    try:
        await hints.until_probed()
        yield
    finally:
        running.cancel()


async def fill(database: Database) -> None:
    """Opens every connection that the pool may have."""
    async with AsyncExitStack() as stack:
        for _ in range(SIZE):
            await stack.enter_async_context(database.connection())


async def write(store: Store, count: int) -> int:
    """Creates jobs at the same time, each in a transaction of its own; returns how many."""

    async def one() -> int:
        try:
            await store.jobs.create_unnamed([new_job()])
        except DatabaseUnavailable:
            return 0
        return 1

    return sum(await asyncio.gather(*(one() for _ in range(count))))


async def test_nothing_is_written_to_the_old_primary_once_the_new_one_was_seen(
    servers: Pair,
) -> None:
    async with open_store(hosts(servers.standby, servers.primary), "s", SIZE, 10, 10) as store:
        await store.queues.declare(["q"])
        await fill(store.database)
        await servers.caught_up()
        await servers.standby.promote()
        # Those that looked around leave.
        await eventually(lambda: servers.primary.fetchval(SESSIONS), lambda n: n == SIZE)
        await servers.primary.execute(LOSE_TWO)
        # The first that is opened anew leads to the new primary.
        await eventually(lambda: write(store, SIZE), lambda written: written == SIZE)
        await eventually(lambda: servers.standby.fetchval(SESSIONS))
        # A statement that had arrived there may be committed until its session is gone.
        await eventually(lambda: servers.primary.fetchval(SESSIONS), lambda count: count == 0)
        before = await servers.primary.fetchval(JOBS)
        # A session that was lost may be found out by the statement that it gets.
        await eventually(lambda: write(store, 100), lambda written: written == 100)
        assert await servers.primary.fetchval(JOBS) == before
        assert await servers.primary.fetchval(SESSIONS) == 0


async def test_transaction_under_way_at_the_old_primary_is_not_committed(servers: Pair) -> None:
    async with open_database(hosts(servers.standby, servers.primary), SIZE, 10) as database:

        async def write_while_the_new_one_is_seen() -> None:
            async with database.transaction() as connection:
                await connection.execute("INSERT INTO jobsvc.queue (name) VALUES ('left')")
                await servers.standby.promote()
                async with database.connection() as other:
                    port = await other.fetchval("SELECT inet_server_port()")
                    assert port == servers.standby.port

        with pytest.raises(DatabaseUnavailable):
            await write_while_the_new_one_is_seen()
        assert await servers.primary.fetchval("SELECT count(*) FROM jobsvc.queue") == 0


@pytest.mark.parametrize("old_first", [True, False])
async def test_start_finds_the_new_primary_and_fences_the_old_one(
    servers: Pair, old_first: bool
) -> None:
    """Also for replicas that know the old one alone."""
    old, new = servers.primary, servers.standby
    async with (
        open_store(old.dsn, "old", SIZE, 10, 10) as lost,
        hinted(old, lost.database),
    ):
        await fill(lost.database)
        await lost.queues.declare(["q"])
        await servers.caught_up()
        await new.promote()
        assert await write(lost, SIZE) == SIZE  # Nobody knows yet.
        order = (old, new) if old_first else (new, old)
        async with open_store(hosts(*order), "new", SIZE, 10, 10) as store:
            assert await write(store, SIZE) == SIZE
            assert await new.fetchval(JOBS) == SIZE
            await eventually(lambda: write(lost, 1), lambda written: written == 0)
            assert await old.fetchval(JOBS) >= SIZE
    # A replica that starts later finds the note.
    with pytest.raises(DatabaseUnavailable, match=f"stop 127.0.0.1:{old.port}"):
        async with open_database(old.dsn, 1, 10):
            pass


@pytest.mark.parametrize("old_first", [True, False])
async def test_migrations_go_to_the_new_primary(servers: Pair, old_first: bool) -> None:
    """Also those of a schema that has no notes of other timelines yet."""
    old, new = servers.primary, servers.standby
    await servers.caught_up()
    await new.promote()
    assert await migrate(hosts(*((old, new) if old_first else (new, old))), "second")
    there = "SELECT count(*) FROM pg_namespace WHERE nspname = 'second'"
    assert await new.fetchval(there) == 1
    assert await old.fetchval(there) == 0


async def test_migrations_are_refused_by_an_old_primary_that_knows(servers: Pair) -> None:
    old, new = servers.primary, servers.standby
    await servers.caught_up()
    await new.promote()
    await migrate(hosts(old, new))
    with pytest.raises(DatabaseUnavailable, match=f"stop 127.0.0.1:{old.port}"):
        await migrate(old.dsn)
    async with ddl_transaction(old.dsn, SCHEMA, obeys_notes=False) as connection:
        assert await connection.fetchval("SELECT inet_server_port()") == old.port


async def test_first_connections_of_a_start_are_refused_by_an_old_primary(servers: Pair) -> None:
    old, new = servers.primary, servers.standby
    await servers.caught_up()
    await new.promote()
    known = Servers(read_dsn(hosts(old, new)))
    await known.look_at_start()
    new.kill()
    with pytest.raises(StaleServer, match=f"stop 127.0.0.1:{old.port}"):
        await find_pooling(known)


async def test_role_that_may_not_look_is_told_and_served(
    dsn: str, sql: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    await sql.execute("DROP TABLE timeline")
    async with open_database(dsn, SIZE, 10) as database:
        await fill(database)
        assert await database.fetch("read_queues", ["q"], True) == []
    [line] = [r.message for r in caplog.records if "old primary" in r.message]
    assert line.endswith('relation "jobsvc.timeline" does not exist')
