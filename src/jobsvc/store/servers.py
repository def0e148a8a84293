"""Connections to the servers of a DSN, each checked when it is made: never to an old primary."""

import asyncio
import logging
from typing import Any

import asyncpg

from jobsvc.settings import SCHEMA
from jobsvc.store.channel import channel_of, timeline_message
from jobsvc.store.dsn import Dsn
from jobsvc.store.statement import texts
from jobsvc.store.timelines import Seen, ServerIdentity, StaleServer, Timelines

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 5.0
#: What a server that cannot be used may raise.
_FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class Servers:
    """The servers of one DSN, for all connections of a replica."""

    def __init__(self, target: Dsn, schema: str = SCHEMA) -> None:
        self._target = target
        sql = texts(schema)
        self._read, self._record = sql["read_timeline"], sql["record_timeline"]
        self._channel = channel_of(schema)
        self.timelines = Timelines()
        self._is_blindness_told = False

    async def look_around(self, **options: Any) -> None:
        """Looks at every host, so that an old primary is not taken for the current one because it
        comes first. Hosts that do not answer are left out."""

        async def look(url: str) -> asyncpg.Connection:
            return await self._open(url, **options)

        urls = self._target.urls
        if len(urls) > 1:
            found = await asyncio.gather(*map(look, urls), return_exceptions=True)
            # One that another host has shown to be behind is to know it.
            behind = [
                url
                for url, connection in zip(urls, found, strict=True)
                if isinstance(connection, asyncpg.Connection) and connection.is_closed()
            ]
            found += await asyncio.gather(*map(look, behind), return_exceptions=True)
            for connection in found:
                if isinstance(connection, asyncpg.Connection):
                    connection.terminate()

    async def connect(self, *_: Any, **options: Any) -> Any:
        """Returns a connection, as the driver would make it from the DSN; `options` are its own. If
        that leads to an old primary, to the first host that does not.

        Raises: what the driver raises, and
            StaleServer: no host can be used.
        """
        try:
            return await self._open(self._target.url, **options)
        except StaleServer:
            if len(self._target.urls) < 2:
                raise
            for url in self._target.urls:
                try:
                    return await self._open(url, **options)
                except _FAILURES:
                    continue
            raise

    async def _open(self, url: str, **options: Any) -> asyncpg.Connection:
        connection: asyncpg.Connection = await asyncpg.connect(url, **options)
        try:
            server = await self._identify(connection)
            if server is not None:
                await self._admit(connection, server)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _admit(self, connection: asyncpg.Connection, server: ServerIdentity) -> None:
        try:
            self.timelines.admit(connection, server)
        except StaleServer:
            seen = self.timelines.seen
            if seen is not None and seen.system_identifier == server.system_identifier:
                await self._fence(connection, seen)
            raise

    async def _identify(self, connection: asyncpg.Connection) -> ServerIdentity | None:
        """Returns which server it is; None if this role may not know."""
        try:
            row: Any = await connection.fetchrow(self._read, timeout=_ANSWER_SECONDS)
        except (asyncpg.SyntaxOrAccessError, asyncpg.FeatureNotSupportedError) as error:
            if not self._is_blindness_told:
                log.warning("an old primary would not be told from the current one: %s", error)
            self._is_blindness_told = True
            return None
        # The host that the driver has chosen; nothing else tells.
        place: Any = connection._addr  # type: ignore[attr-defined]  # not in the stubs
        address = place if isinstance(place, str) else f"{place[0]}:{place[1]}"
        return ServerIdentity(
            address, row["system_identifier"], row["timeline"], row["seen_elsewhere"]
        )

    async def _fence(self, connection: asyncpg.Connection, seen: Seen) -> None:
        """Makes an old primary known to those who ask only it."""
        system, timeline = seen.system_identifier, seen.timeline
        values = system, timeline, self._channel, timeline_message(system, timeline)
        try:
            await connection.fetch(self._record, *values, timeout=_ANSWER_SECONDS)
        except _FAILURES as error:
            log.info("the old primary takes no note of a later timeline: %r", error)
