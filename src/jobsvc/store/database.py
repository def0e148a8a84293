"""The connection pool. The driver's errors become `DatabaseFailure`s here."""

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from jobsvc.domain.errors import DatabaseUnavailable, NotStorable, Violation
from jobsvc.settings import SCHEMA
from jobsvc.store.dsn import Dsn, read_dsn
from jobsvc.store.explain import explain
from jobsvc.store.pooler import find_pooling, tell_pooling
from jobsvc.store.servers import Servers
from jobsvc.store.sessions import LATE_SECONDS, RELEASE_SECONDS, Pooling, Sessions, terminate
from jobsvc.store.sessions import Connection as Connection
from jobsvc.store.sqlstate import Answer, answer, is_session_spent
from jobsvc.store.standby_wait import StandbyWaitCancelled
from jobsvc.store.statement import texts
from jobsvc.store.trouble_log import TroubleLog
from jobsvc.telemetry.catalogue import (
    CONNECTIONS,
    CONNECTIONS_WAITING,
    DATABASE_FAILURES,
    STATEMENT_DURATION,
)
from jobsvc.telemetry.measurements import Measurements

log = logging.getLogger(__name__)

#: What the driver raises: answers of the database, and that there is none.
_DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
#: A deadlock or serialization failure changes nothing, so the statement is run again.
_TRIES = 5
#: How often in a row a connection is kept before the pool sees it again, which replaces old ones.
_MAX_KEPT = 1000


def answer_of(error: BaseException) -> Answer:
    """Returns what an error of the driver means. Pure."""
    if isinstance(error, asyncpg.PostgresError):
        return answer(error.sqlstate or "")
    if isinstance(error, StandbyWaitCancelled):
        return Answer.REFUSED
    is_argument = isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    if is_argument and not isinstance(error, asyncpg.exceptions.ClientConfigurationError):
        return Answer.DEFECT  # asyncpg refuses an argument: the database is fine
    return Answer.AWAY


@contextmanager
def database_errors(dsn: Dsn | None, troubles: TroubleLog, statement: str) -> Iterator[None]:
    """Turns the driver's errors in a statement into `DatabaseFailure`s, and records them; all but
    defects of ours, and keys that are taken."""
    try:
        with _closed_in_use():
            yield
    except _DRIVER_ERRORS as error:
        found = answer_of(error)
        kind = getattr(error, "sqlstate", None) or type(error).__name__
        match found:
            case Answer.DEFECT:
                raise
            case Answer.VALUE:
                # Without the text of the error, which may quote the value.
                text = f"the database cannot store it ({kind} {type(error).__name__})"
                troubles.not_storable(statement, text)
                raise NotStorable([Violation("request", text)]) from None
            case Answer.AWAY:
                why = explain(error, dsn) if dsn is not None else f"{error}"
                troubles.failed(statement, found, kind, why)
                raise DatabaseUnavailable("the database does not answer; try again") from error
            case _:
                troubles.failed(statement, found, kind, f"{kind} {_first_line(error)}")
                raise DatabaseUnavailable(
                    "the database refuses what it must do; try again",
                    is_refusal=found is not Answer.CONFLICT,
                ) from error


@contextmanager
def _closed_in_use() -> Iterator[None]:
    """Names what the driver raises when another task closes a connection between two messages of a
    statement, or before it is given back, as is done with those to an old primary: it misses parts
    of itself, or its proxy misses it."""
    try:
        yield
    except AttributeError as error:
        frames = list(traceback.walk_tb(error.__traceback__))
        where = frames[-1][0].f_globals.get("__name__")
        # A proxy that has its connection does not know a name that we have misspelt.
        is_gone = where == asyncpg.pool.__name__ and error.obj is None
        if where != asyncpg.connection.__name__ and not is_gone:
            raise
        raise asyncpg.ConnectionDoesNotExistError("it was closed while in use") from error


@contextmanager
def connection_errors(dsn: Dsn) -> Iterator[None]:
    """Turns the errors of a first connection into `DatabaseUnavailable`, which says why: for those
    who start a process, not for callers."""
    try:
        yield
    except (*_DRIVER_ERRORS, ValueError) as error:
        raise DatabaseUnavailable(explain(error, dsn)) from None


def _first_line(error: BaseException) -> str:
    """The message of an error, without the details that may quote a row."""
    return f"{error.args[0]}" if error.args else ""


async def _keep_session(_: Any) -> None:
    """Does nothing: no statement changes a session, and a reset would cost a round trip."""


def _is_usable(connection: asyncpg.pool.PoolConnectionProxy) -> bool:
    """Whether a connection that is not in use can be used again as it is."""
    try:
        return not connection.is_closed() and not connection.is_in_transaction()
    except asyncpg.InterfaceError:
        return False  # It broke, and the pool has taken it back.


class Database:
    """A pool of connections to one PostgreSQL. `open_database` makes it."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        sessions: Sessions,
        acquire_seconds: float,
        dsn: Dsn | None = None,
        schema: str = SCHEMA,
        servers: Servers | None = None,
        statements: Mapping[str, str] | None = None,
        measurements: Measurements | None = None,
    ) -> None:
        measurements = Measurements() if measurements is None else measurements
        self._pool = pool
        #: Where the connections lead, for those who make others.
        self.servers = servers
        self._sessions = sessions
        self._acquire_seconds = acquire_seconds
        self._dsn = dsn
        self.schema = schema
        #: The text of each statement, by name.
        self.sql = statements or texts(schema)
        #: One connection that nobody uses stays lent for the next statement: to return it to the
        #: pool and get it again takes a task and two timers, as much as the statement itself.
        self._kept: asyncpg.pool.PoolConnectionProxy | None = None
        self._times_kept = 0
        #: Those who wait for a connection of the pool.
        self._waiting = 0
        #: How often all connections were given up.
        self._generation = 0
        #: What is wrong with it; those with connections of their own report to it, too.
        self.troubles = TroubleLog(measurements.tally(DATABASE_FAILURES))
        self._durations = measurements.distribution(STATEMENT_DURATION)
        measurements.gauge(CONNECTIONS, self._connections)
        measurements.gauge(CONNECTIONS_WAITING, lambda: [((), self._waiting)])

    async def watch_servers(self) -> None:
        """Watches for a promotion until cancelled."""
        if self.servers is not None:
            await self.servers.watch()

    @property
    def pooling(self) -> Pooling:
        """What its connections keep."""
        return self._sessions.pooling

    @asynccontextmanager
    async def connection(self, statement: str = "a transaction") -> AsyncIterator[Connection]:
        """Lends a connection for one or more statements; `statement` names them in the log.

        Raises:
            DatabaseUnavailable: no connection was free in time, or it broke.
            NotStorable: a value cannot be stored.
        """
        with database_errors(self._dsn, self.troubles, statement):
            connection = await self._acquire()
            generation, is_kept = self._generation, False
            try:
                yield connection
                connection.check_wait()  # type: ignore[attr-defined]  # by the proxy
                is_kept = generation == self._generation and self._keep(connection)
            except Exception as error:
                await self._take_out(connection, error)
                raise
            finally:
                if not is_kept:
                    await self._release(connection)
        if self.troubles:
            self.troubles.worked(statement)

    async def _acquire(self) -> asyncpg.pool.PoolConnectionProxy:
        kept, self._kept = self._kept, None
        if kept is not None:
            if _is_usable(kept):
                return kept
            await self._release(kept)
        self._waiting += 1
        try:
            return await self._pool.acquire(timeout=self._acquire_seconds)
        except TimeoutError:
            if self._pool.get_size() < self._pool.get_max_size():
                raise  # Another connection was to be made.
            raise asyncpg.LockNotAvailableError("no connection was free in time") from None
        finally:
            self._waiting -= 1

    def _keep(self, connection: asyncpg.pool.PoolConnectionProxy) -> bool:
        """Keeps a connection for the next statement, unless it must go back to the pool."""
        if self._kept is not None or self._waiting or not _is_usable(connection):
            return False
        self._times_kept += 1
        if self._times_kept > _MAX_KEPT:
            self._times_kept = 0
            return False
        self._kept = connection
        return True

    async def return_kept(self) -> None:
        """Gives the connection that is kept back to the pool."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await self._release(kept)

    async def _take_out(
        self, connection: asyncpg.pool.PoolConnectionProxy, error: Exception
    ) -> None:
        """Closes a connection that would fail again, so that the pool makes a new one."""
        if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
            # A session may have got that default when it began, and so may all the others.
            await self._pool.expire_connections()
            self._generation += 1
            await self.return_kept()
        elif isinstance(error, asyncpg.PostgresError):
            if is_session_spent(error.sqlstate or ""):
                terminate(connection)
        elif isinstance(error, asyncpg.InternalClientError):
            terminate(connection)  # The protocol is out of step.

    async def _release(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        """Returns a connection to the pool. A cancelled statement on it must end first."""
        try:
            await self._pool.release(connection, timeout=RELEASE_SECONDS)
        except Exception as error:
            # The driver has closed it, and the pool opens another.
            log.info("a connection does not come back: %r", error)

    @asynccontextmanager
    async def transaction(self, name: str = "a transaction") -> AsyncIterator[Connection]:
        """Lends a connection inside a transaction: committed at the end, rolled back on errors.
        The log knows it by `name`."""
        async with self.connection(name) as connection, self._sessions.transaction(connection):
            yield connection

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        """Runs `queries/{statement}.sql` in its own transaction."""
        text = self.sql[statement]
        async with self.connection(statement) as connection:
            begin = time.perf_counter()
            try:
                for _ in range(_TRIES - 1):
                    try:
                        return await self._sessions.fetch(connection, text, arguments)
                    except asyncpg.TransactionRollbackError as error:
                        log.info("%s is run again: %r", statement, error)
                return await self._sessions.fetch(connection, text, arguments)
            finally:
                self._durations.record(time.perf_counter() - begin, statement)

    def _connections(self) -> list[tuple[tuple[str, ...], float]]:
        """The connections of the pool. The one that is kept is lent, but idle."""
        idle = self._pool.get_idle_size() + (self._kept is not None)
        return [(("used",), self._pool.get_size() - idle), (("idle",), idle)]


@asynccontextmanager
async def open_database(
    dsn: str,
    pool_size: int,
    statement_seconds: float,
    schema: str = SCHEMA,
    pooling: Pooling | None = None,
    statements: Mapping[str, str] | None = None,
    measurements: Measurements | None = None,
) -> AsyncIterator[Database]:
    """Opens a pool on `dsn`, and closes it at the end. `pooling` None finds it out. `statements`
    are others than those of this package.

    Raises:
        DsnInvalid: `dsn` cannot be used.
        DatabaseUnavailable: no connection can be made.
    """
    target = read_dsn(dsn)
    with connection_errors(target):
        servers = Servers(target, schema)
        await servers.look_at_start()
        sessions = Sessions(pooling or await find_pooling(servers), statement_seconds)
        pool = await asyncpg.create_pool(
            target.url,
            connect=servers.connect,
            min_size=1,
            max_size=pool_size,
            max_inactive_connection_lifetime=300,
            command_timeout=statement_seconds + LATE_SECONDS,
            timeout=target.connect_seconds,
            reset=_keep_session,
            server_settings={"application_name": target.application_name or "jobsvc"},
            **sessions.pool_options(),
        )
    tell_pooling(sessions.pooling)
    database = Database(
        pool, sessions, statement_seconds, target, schema, servers, statements, measurements
    )
    try:
        yield database
    finally:
        try:
            async with asyncio.timeout(5):
                await database.return_kept()
                await pool.close()
        except TimeoutError:
            pool.terminate()
