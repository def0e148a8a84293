"""Transactions that look at and change the schema: each on a connection of its own, and all or
nothing. What a session would keep ends with them, since a pooler may have lent it."""

import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from jobsvc.store.database import connection_errors
from jobsvc.store.dsn import Dsn, DsnInvalid, read_dsn
from jobsvc.store.explain import explain
from jobsvc.store.servers import Servers
from jobsvc.store.statement import texts

log = logging.getLogger(__name__)


class DatabaseUnsuitable(Exception):
    """jobsvc cannot work on this database, or not with this role."""


@asynccontextmanager
async def ddl_transaction(
    dsn: str, schema: str, obeys_notes: bool = True
) -> AsyncIterator[asyncpg.Connection]:
    """Lends a connection in a transaction, never to an old primary. Without `obeys_notes`, also to
    one that is known as such only by a note in its own tables, for those who judge it themselves.

    Raises:
        DsnInvalid: `dsn` cannot be used.
        DatabaseUnavailable: no connection.
        DatabaseUnsuitable: PostgreSQL is older than 14, the encoding is not UTF8, the role lacks a
            right, or tables of somebody else are in the way.
    """
    target = read_dsn(dsn)
    for note in target.notes:
        log.warning("%s", note)
    with connection_errors(target):
        connection = await _connect(target, schema, obeys_notes)
        try:
            _check_suitable(connection)
            async with connection.transaction():
                await enter_schema(connection, "pg_catalog")  # so that no function of others is run
                yield connection
        except (asyncpg.DuplicateTableError, asyncpg.DuplicateObjectError) as error:
            raise DatabaseUnsuitable(
                f"the schema {schema} has tables of somebody else ({error}): JOBSVC_SCHEMA can"
                " name another one"
            ) from None
        except asyncpg.InsufficientPrivilegeError as error:
            raise DatabaseUnsuitable(
                f"this role may not do that in the schema {schema} ({error}): its owner may"
            ) from None
        finally:
            await connection.close(timeout=5)


async def _connect(target: Dsn, schema: str, obeys_notes: bool) -> asyncpg.Connection:
    """Raises DsnInvalid for what no database could cure, and as `Servers.connect`."""
    servers = Servers(target, schema, is_migrating=True, obeys_notes=obeys_notes)
    try:
        await servers.look_at_start()
        connection: asyncpg.Connection = await servers.connect(
            timeout=target.connect_seconds, statement_cache_size=0
        )
        return connection
    except (asyncpg.exceptions.ClientConfigurationError, ValueError) as error:
        raise DsnInvalid(explain(error, target)) from None
    except FileNotFoundError as error:
        if target.is_local:
            raise  # The socket of a database that is not there.
        raise DsnInvalid(explain(error, target)) from None


async def enter_schema(connection: asyncpg.Connection, schema: str) -> None:
    """Makes a schema the place of what is named without one, until the end of the transaction."""
    await connection.fetch(texts(schema)["enter_schema"], schema)


async def lock_schemas(connection: asyncpg.Connection, *schemas: str) -> None:
    """Makes others that change these schemas wait for the end of this transaction."""
    for key in sorted(map(lock_of, schemas)):
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", key):
            log.info("waiting for another process that migrates the database")
            await connection.execute("SELECT pg_advisory_xact_lock($1)", key)


def lock_of(schema: str) -> int:
    """Returns the key of the advisory lock for changes of a schema. Pure."""
    digest = hashlib.sha256(f"jobsvc migrates {schema}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def _check_suitable(connection: asyncpg.Connection) -> None:
    version = connection.get_server_version().major
    if version < 14:
        raise DatabaseUnsuitable(f"PostgreSQL {version} is too old: jobsvc needs 14 or newer")
    encoding = connection.get_settings().server_encoding
    if encoding != "UTF8":
        raise DatabaseUnsuitable(
            f"the database stores texts as {encoding}, which cannot hold every text: jobsvc needs"
            " a database with ENCODING 'UTF8'"
        )
