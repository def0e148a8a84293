"""The connection pool, and the border at which the driver's errors become the project's."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from jobsvc.domain.errors import DatabaseUnavailable
from jobsvc.store.statement import sql

log = logging.getLogger(__name__)

#: The database is away, full, overloaded, about to stop, or does not let us in: try again later.
_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresSystemError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    # Lost against other transactions, every time.
    asyncpg.TransactionRollbackError,
)
#: A deadlock or serialization failure has changed nothing: the statement is run again.
_TRIES = 5
#: The database itself ends a statement first, if it can.
_LATE_SECONDS = 5.0
#: A database that is there cancels a statement in a moment.
_RELEASE_SECONDS = 2.0

#: Every statement is a lookup by key over tables whose size changes by the second, so plans made
#: from yesterday's statistics are traps: plan once, by the indexes.
_SESSION = {
    "application_name": "jobsvc",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "idle_in_transaction_session_timeout": "60s",
}

Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection


@contextmanager
def database_errors(level: int = logging.WARNING) -> Iterator[None]:
    """TimeSlice the driver's connection errors into `DatabaseUnavailable`, and logs them."""
    try:
        yield
    except _UNAVAILABLE as error:
        is_setting = isinstance(error, asyncpg.exceptions.ClientConfigurationError)
        if isinstance(error, ValueError) and not is_setting:
            raise  # asyncpg refuses an argument: our defect, not the database's.
        log.log(level, "database unavailable: %s: %s", type(error).__name__, error)
        raise DatabaseUnavailable("the database does not answer; try again") from error


async def _keep_session(_: Any) -> None:
    """Nothing here changes a session, so nothing needs resetting: saves a round trip a call."""


class Database:
    """A pool of connections to one PostgreSQL. Made by `open_database`."""

    def __init__(self, pool: asyncpg.Pool, acquire_seconds: float) -> None:
        self._pool = pool
        self._acquire_seconds = acquire_seconds

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for one or more statements.

        Raises:
            DatabaseUnavailable: none to be had in time, or it broke.
        """
        with database_errors():
            connection = await self._pool.acquire(timeout=self._acquire_seconds)
            try:
                yield connection
            finally:
                await self._release(connection)

    async def _release(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        """Gives a connection back. What was cancelled on it has to end first."""
        try:
            await self._pool.release(connection, timeout=_RELEASE_SECONDS)
        except Exception as error:
            # The driver has closed it: another takes its place.
            log.info("a connection does not come back: %r", error)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction, committed at the end and rolled back on any error."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        """Runs `queries/{statement}.sql` as a transaction of its own."""
        async with self.connection() as connection:
            for _ in range(_TRIES - 1):
                try:
                    return await _fetch(connection, statement, arguments)
                except asyncpg.TransactionRollbackError as error:
                    log.info("%s is run again: %r", statement, error)
            return await _fetch(connection, statement, arguments)


async def _fetch(
    connection: Connection, statement: str, arguments: Sequence[Any]
) -> Sequence[asyncpg.Record]:
    rows: Sequence[asyncpg.Record] = await connection.fetch(sql(statement), *arguments)
    return rows


@asynccontextmanager
async def open_database(
    dsn: str, pool_size: int, statement_seconds: float
) -> AsyncIterator[Database]:
    """A pool on `dsn`, closed at the end.

    Raises:
        DatabaseUnavailable: no connection can be made.
    """
    with database_errors():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=pool_size,
            max_inactive_connection_lifetime=300,
            command_timeout=statement_seconds + _LATE_SECONDS,
            timeout=10,
            reset=_keep_session,
            server_settings={
                **_SESSION,
                "statement_timeout": f"{int(statement_seconds * 1000)}ms",
                # Ends what a frozen or lost replica has begun: until then, rows that it is about to
                # be sent are locked, and no other timeout counts then.
                "tcp_user_timeout": f"{int((statement_seconds + _LATE_SECONDS) * 1000)}ms",
            },
        )
    try:
        yield Database(pool, acquire_seconds=statement_seconds)
    finally:
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()
