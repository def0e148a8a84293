"""Which pooler is between this process and the database, found out by trying.

Whatever is uncertain counts as a pooler that keeps nothing: that is right on any connection, and
only slower on some.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from jobsvc.store.servers import Servers
from jobsvc.store.sessions import Pooling

log = logging.getLogger(__name__)

_PID = "SELECT pg_backend_pid()"
#: A pooler that shares sessions shows it in the first round, unless others use it at that moment.
_ROUNDS = 5
_ANSWER_SECONDS = 3.0
_HEAR_SECONDS = 2.0

_SHARED = (
    "a pooler lends a session of the database for each transaction: every transaction brings its"
    " settings along, {statements}, and what happens on other replicas is seen by polling, up to a"
    " second later (docs/operations/poolers.md)"
)
_STATEMENTS = {
    Pooling.TRANSACTION: "statements are planned each time",
    Pooling.PREPARED: "the pooler carries prepared statements",
}


def tell_pooling(pooling: Pooling) -> None:
    """Writes into the log what is different behind this pooler."""
    if pooling is not Pooling.SESSION:
        log.warning("%s", _SHARED.format(statements=_STATEMENTS[pooling]))


async def find_pooling(servers: Servers) -> Pooling:
    """Returns what connections to a database keep. Raises as `Servers.connect`.

    The process id in PostgreSQL's greeting is that of the session; poolers write their own there.
    """
    async with _connected(servers) as one:
        seconds = servers.target.connect_seconds
        if await one.fetchval(_PID, timeout=seconds) == one.get_server_pid():
            return Pooling.SESSION
        async with _connected(servers) as other:
            try:
                return await _find_shared(one, other) or await _find_session(one, other)
            except (TimeoutError, asyncpg.InvalidSQLStatementNameError):
                return Pooling.TRANSACTION


async def hears(servers: Servers) -> bool:
    """Returns whether a connection hears at once what another one notifies. Raises as
    `Servers.connect`."""
    async with _connected(servers) as one, _connected(servers) as other:
        try:
            return await _find_session(one, other) is Pooling.SESSION
        except TimeoutError:
            return False


@asynccontextmanager
async def _connected(servers: Servers) -> AsyncIterator[asyncpg.Connection]:
    connection: asyncpg.Connection = await servers.connect(
        timeout=servers.target.connect_seconds,
        command_timeout=_ANSWER_SECONDS,
        statement_cache_size=0,
        server_settings={"application_name": servers.target.application_name or "jobsvc"},
    )
    try:
        yield connection
    finally:
        connection.terminate()


async def _find_shared(one: asyncpg.Connection, other: asyncpg.Connection) -> Pooling | None:
    """Returns what `one` keeps if it was seen to change its session, else None.

    While `other` is in a transaction, nobody else has its session. So a pooler that lends `one`
    another session each time is found, and whether a statement that was prepared goes along.

    Raises:
        InvalidSQLStatementNameError: the statement does not.
    """
    statement = await one.prepare(_PID, name=f"jobsvc_{secrets.token_hex(8)}")
    pids = set()
    for _ in range(_ROUNDS):
        # Twice: sessions may be lent in turn.
        pids |= {await statement.fetchval(), await statement.fetchval()}
        await other.execute("BEGIN")
        pids.add(await statement.fetchval())
        await other.execute("ROLLBACK")
        if len(pids) > 1:
            return Pooling.PREPARED
    return None


async def _find_session(one: asyncpg.Connection, other: asyncpg.Connection) -> Pooling:
    """Returns whether `one` hears what it listens to while it does nothing: it has a session."""
    heard = asyncio.Event()
    channel = f"jobsvc_{secrets.token_hex(8)}"
    await one.add_listener(channel, lambda *_: heard.set())
    await other.execute("SELECT pg_notify($1, '')", channel)
    async with asyncio.timeout(_HEAR_SECONDS):
        await heard.wait()
    return Pooling.SESSION
