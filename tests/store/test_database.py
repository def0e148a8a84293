"""The border to the driver: what is away is DatabaseUnavailable, and soon."""

import asyncio
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from jobsvc.domain.errors import DatabaseUnavailable, NotStorable
from jobsvc.store.database import Database, answer_of, database_errors, open_database
from jobsvc.store.sqlstate import Answer
from jobsvc.store.trouble_log import TroubleLog
from tests.api.support.database_link import database_link
from tests.store.support.samples import until_blocked
from tests.support.probe import eventually


@pytest.fixture
async def small(dsn: str) -> AsyncIterator[Database]:
    """A database with one connection and a second for a statement."""
    async with open_database(dsn, pool_size=1, statement_seconds=1.0) as database:
        yield database


async def test_address_where_nobody_listens_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        async with open_database("postgresql://nobody@127.0.0.1:1/x", 1, 1.0):
            pass


async def test_statement_that_takes_too_long_is_unavailable(
    small: Database, sql: asyncpg.Connection
) -> None:
    async with sql.transaction():
        await sql.execute("LOCK TABLE queue IN ACCESS EXCLUSIVE MODE")
        # It is the database that ends it, not the driver, which would wait for longer.
        with pytest.raises(DatabaseUnavailable, match="refuses"):
            await small.fetch("declare_queues", ["a"])
    assert await sql.fetchval("SELECT count(*) FROM queue") == 0
    await small.fetch("declare_queues", ["a"])


async def test_cancelled_statement_lets_go_of_a_database_that_is_silent(dsn: str) -> None:
    with tempfile.TemporaryDirectory(prefix="jobsvc-link-") as folder:
        async with (
            database_link(dsn, Path(folder)) as link,
            open_database(link.dsn, pool_size=1, statement_seconds=60) as database,
        ):
            await database.fetch("declare_queues", ["a"])
            link.kill_silently()
            asking = asyncio.create_task(database.fetch("declare_queues", ["b"]))
            await eventually(lambda: link.lost_bytes)
            asking.cancel()
            await asyncio.wait([asking], timeout=10)
            assert asking.cancelled()


async def test_exhausted_pool_is_waited_for_a_bounded_time(small: Database) -> None:
    async with small.connection():
        with pytest.raises(DatabaseUnavailable):
            await asyncio.wait_for(small.fetch("read_queues", ["a"], True), 5)
    assert await small.fetch("read_queues", ["a"], True) == []


async def test_error_rolls_the_transaction_back(small: Database) -> None:
    async def fail_half_way() -> None:
        async with small.transaction() as connection:
            await connection.execute("INSERT INTO jobsvc.queue (name) VALUES ('a')")
            raise LookupError

    with pytest.raises(LookupError):
        await fail_half_way()
    assert await small.fetch("read_queues", ["a"], True) == []


async def test_cancelled_statement_gives_its_connection_back(
    small: Database, sql: asyncpg.Connection
) -> None:
    async with sql.transaction():
        await sql.execute("LOCK TABLE queue IN ACCESS EXCLUSIVE MODE")
        fetching = asyncio.ensure_future(small.fetch("declare_queues", ["a"]))
        await until_blocked(sql)
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert await small.fetch("read_queues", ["a"], True) == []


async def test_broken_connection_is_not_used_again(
    small: Database, sql: asyncpg.Connection
) -> None:
    async with small.connection() as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    await sql.execute("SELECT pg_terminate_backend($1, 5000)", pid)
    await asyncio.sleep(0)  # The driver hears of it in this pass.
    assert await small.fetch("read_queues", ["a"], True) == []


async def test_database_closes_at_once_after_a_statement(dsn: str) -> None:
    async with asyncio.timeout(4):
        async with open_database(dsn, pool_size=1, statement_seconds=1.0) as database:
            await database.fetch("read_queues", ["a"], True)


async def test_statements_that_wait_for_a_connection_get_it_one_after_another(
    small: Database,
) -> None:
    reads = [small.fetch("read_queues", ["a"], True) for _ in range(20)]
    assert await asyncio.gather(*reads) == [[]] * 20


async def test_sessions_in_use_are_given_up_with_those_that_refuse_writes(
    dsn: str, sql: asyncpg.Connection
) -> None:
    async with open_database(dsn, pool_size=2, statement_seconds=5.0) as database:
        async with database.connection() as one:
            pid = await one.fetchval("SELECT pg_backend_pid()")
            async with database.connection() as other:
                await other.execute("SET default_transaction_read_only = on")
            with pytest.raises(DatabaseUnavailable):
                await database.fetch("declare_queues", ["a"])
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT pg_backend_pid()") != pid


async def test_defect_in_a_value_is_not_called_unavailable(small: Database) -> None:
    with pytest.raises(NotStorable):
        await small.fetch("declare_queues", ["a\0"])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ssl.SSLCertVerificationError(1, "expired"), Answer.AWAY),  # an OSError and a ValueError
        (ConnectionResetError(), Answer.AWAY),
        (TimeoutError(), Answer.AWAY),
        (asyncpg.InterfaceError("connection is closed"), Answer.AWAY),
        (asyncpg.exceptions.ProtocolError("out of step"), Answer.AWAY),
        (asyncpg.AdminShutdownError("57P01"), Answer.AWAY),
        (asyncpg.ReadOnlySQLTransactionError("25006"), Answer.READ_ONLY),
        (asyncpg.InsufficientPrivilegeError("42501"), Answer.REFUSED),
        (asyncpg.UniqueViolationError("23505"), Answer.DEFECT),
    ],
)
def test_every_error_of_the_driver_has_a_meaning(error: Exception, expected: Answer) -> None:
    assert answer_of(error) is expected


class ClosedBetweenMessages(asyncpg.Connection):
    """As if another task closed it when a statement has been parsed."""

    async def _get_statement(self, *arguments: Any, **options: Any) -> Any:
        statement = await super()._get_statement(*arguments, **options)
        self.terminate()
        return statement


async def test_connection_that_another_task_closes_is_a_failure_of_the_database(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, connection_class=ClosedBetweenMessages)
    with pytest.raises(DatabaseUnavailable), database_errors(None, TroubleLog(), "read"):
        await connection.fetch("SELECT $1::integer", 1)


async def test_connection_that_is_closed_before_it_is_given_back_is_a_failure_of_the_database(
    small: Database,
) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with small.connection() as connection:
            connection.terminate()
    async with small.connection() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_misspelt_name_of_a_connection_is_a_defect(small: Database) -> None:
    with pytest.raises(AttributeError):
        async with small.connection() as connection:
            connection.no_such_name  # noqa: B018  # To read it is the defect.


async def test_defect_of_ours_is_no_failure_of_the_database() -> None:
    nothing: Any = None
    with pytest.raises(AttributeError), database_errors(None, TroubleLog(), "read"):
        nothing.fetch()
