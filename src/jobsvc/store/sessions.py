"""The settings that statements run under, on connections that keep them and on those that do not.

Poolers refuse settings in the startup packet, so they are set after it: once where a connection is
a session of its own, and at the beginning of each transaction where a pooler lends another one.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from functools import cache
from typing import Any

import asyncpg

from jobsvc.settings import SCHEMA
from jobsvc.store.standby_wait import WatchedConnection
from jobsvc.store.statement import texts

#: How long the driver waits after statement_timeout: the database should end the statement itself.
LATE_SECONDS = 5.0
#: How long a cancelled statement may take to end. A reachable database needs a moment.
RELEASE_SECONDS = 2.0

#: Every statement is a lookup by key in tables whose size changes by the second. A plan made from
#: old statistics may be a very bad one, so each statement is planned once, by the indexes.
#: Times are in milliseconds.
_SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # Our tables are named with their schema. A function of somebody else, in a schema of the path,
    # would be run instead of PostgreSQL's own if it fits the arguments better.
    "search_path": "pg_catalog",
    # A commit that a standby may not have is told by a warning only.
    "client_min_messages": "warning",
    "idle_in_transaction_session_timeout": "60000",
}
_DIFFERING = texts(SCHEMA)["differing_settings"]

Connection = asyncpg.pool.PoolConnectionProxy | asyncpg.Connection


class Pooling(StrEnum):
    """What a connection keeps from one transaction to the next; the values of JOBSVC_POOLER."""

    #: Everything: it is PostgreSQL itself, or a pooler lends a session for as long as it lasts.
    SESSION = "session"
    #: Prepared statements only: the pooler carries them from session to session.
    PREPARED = "transaction-prepared"
    #: Nothing.
    TRANSACTION = "transaction"


class SettingsIgnored(asyncpg.InterfaceError):
    """A connection does not keep the settings that it was given."""


class UnnamedStatements(WatchedConnection):
    """Sends the text of a statement each time it runs: no session has to remember it.

    The driver alone would ask each time what the statement takes and returns, which is remembered
    here: a round trip less.
    """

    __slots__ = ("_described",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._described: dict[tuple[str, object, bool], Any] = {}

    async def _get_statement(
        self,
        query: str,
        timeout: float | None,  # noqa: ASYNC109  # the driver's own
        *,
        named: str | bool | None = False,
        record_class: Any = None,
        ignore_custom_codec: bool = False,
        **options: Any,
    ) -> Any:
        key = query, record_class, ignore_custom_codec
        statement = None if named else self._described.get(key)
        if statement is None:
            statement = await super()._get_statement(  # type: ignore[misc]  # not in the stubs
                query,
                timeout,
                named=named,
                record_class=record_class,
                ignore_custom_codec=ignore_custom_codec,
                **options,
            )
            if not statement.name:
                self._described[key] = statement
        return statement


class Sessions:
    """How the connections of a replica come to their settings."""

    def __init__(self, pooling: Pooling, statement_seconds: float) -> None:
        """A statement may take `statement_seconds`."""
        self.pooling = pooling
        self.keep_settings = pooling is Pooling.SESSION
        milliseconds = int(statement_seconds * 1000)
        self._settings = {**_SETTINGS, "statement_timeout": f"{milliseconds}"}
        if self.keep_settings:
            # Ends the statement of a frozen or lost replica. Until then, the rows that are
            # being sent to it stay locked, and no other timeout applies to the sending. Sent
            # rows go to the pooler, if there is one.
            late_milliseconds = milliseconds + int(LATE_SECONDS * 1000)
            self._set = _text("SET", {**self._settings, "tcp_user_timeout": f"{late_milliseconds}"})
        else:
            self._begin = "BEGIN; " + _text("SET LOCAL", self._settings)

    def pool_options(self) -> dict[str, Any]:
        """Returns the arguments of the driver's pool for such connections."""
        if self.pooling is not Pooling.TRANSACTION:
            return {"init": self._begin_session, "connection_class": WatchedConnection}
        return {
            "init": self._begin_session,
            "connection_class": UnnamedStatements,
            "statement_cache_size": 0,
        }

    @asynccontextmanager
    async def transaction(self, connection: Connection) -> AsyncIterator[None]:
        """A transaction under the settings: committed at the end, rolled back on errors."""
        if self.keep_settings:
            async with connection.transaction():
                yield
            return
        try:
            await connection.execute(self._begin)
            yield
            await connection.execute("COMMIT")
        except BaseException:
            # Whatever became of BEGIN or COMMIT: the session that was lent must be given back.
            await _roll_back(connection)
            raise

    async def fetch(
        self, connection: Connection, text: str, arguments: Sequence[Any]
    ) -> list[asyncpg.Record]:
        """Runs one statement under the settings, in its own transaction."""
        if self.keep_settings or _is_vacuum(text):
            return await connection.fetch(text, *arguments)
        async with self.transaction(connection):
            return await connection.fetch(text, *arguments)

    async def _begin_session(self, connection: asyncpg.Connection) -> None:
        """Sets what a new connection keeps, and checks that its statements run under it.

        Raises:
            SettingsIgnored: they do not.
        """
        if self.keep_settings:
            await connection.execute(self._set)
        differing = await self.fetch(
            connection, _DIFFERING, (list(self._settings), list(self._settings.values()))
        )
        if differing:
            names = ", ".join(row["name"] for row in differing)
            raise SettingsIgnored(
                f"the connection does not keep its settings ({names}): if there is a pooler in"
                " between, unset JOBSVC_POOLER or set it to transaction"
            )


def _text(verb: str, settings: dict[str, str]) -> str:
    # One round trip, which takes no parameters. No name and no value is anybody's text.
    return "; ".join(f"{verb} {name} = '{value}'" for name, value in settings.items())


@cache
def _is_vacuum(text: str) -> bool:
    """Whether it is a VACUUM, which runs in no transaction and is not planned."""
    return any(line.startswith("VACUUM") for line in text.splitlines())


def terminate(connection: Connection) -> None:
    """Closes a connection at once, so that its pool makes another."""
    with suppress(asyncpg.InterfaceError):  # It was closed by its end, and is back in the pool.
        connection.terminate()


async def _roll_back(connection: Connection) -> None:
    """Ends a transaction that may be open, or the connection."""
    try:
        await connection.execute("ROLLBACK", timeout=RELEASE_SECONDS)
    except BaseException as error:
        terminate(connection)
        if not isinstance(error, Exception):
            raise
