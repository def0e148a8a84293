"""Connections to the servers of a DSN, each checked when it is made: never to an old primary."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, NoReturn

import asyncpg

from jobsvc.settings import SCHEMA
from jobsvc.store.channel import channel_of, timeline_message
from jobsvc.store.dsn import Dsn
from jobsvc.store.statement import texts
from jobsvc.store.timelines import Seen, ServerIdentity, StaleServer, Timelines

log = logging.getLogger(__name__)

#: From one look at all hosts to the next.
LOOK_SECONDS = 5.0
_NOTE_SECONDS = 5.0
#: What a server that cannot be used may raise.
_FAILURES = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    ValueError,  # from the driver, about what the DSN says
)


class Servers:
    """The servers of one DSN, for all connections of a replica, or of a command."""

    def __init__(
        self,
        target: Dsn,
        schema: str = SCHEMA,
        is_migrating: bool = False,
        obeys_notes: bool = True,
    ) -> None:
        """`is_migrating`: there may be no tables yet, and the log need not say what others will.
        Without `obeys_notes`, a server is used although it has a note of a later timeline."""
        self.target = target
        self._schema = schema
        sql = texts(schema)
        self._read_server, self._read_timeline = sql["read_server"], sql["read_timeline"]
        self._is_migrating = is_migrating
        self._obeys_notes = obeys_notes
        self._record = sql["record_timeline"]
        self._channel = channel_of(schema)
        self.timelines = Timelines()
        self._is_blindness_told = is_migrating
        #: Why each host that is behind was refused at the last look.
        self._refusals: set[str] = set()

    async def look_at_start(self) -> None:
        """Looks at every host, so that an old primary is not taken for the current one because it
        comes first. Hosts that do not answer are left out."""
        if len(self.target.urls) > 1:
            await self._look()

    async def watch(self) -> NoReturn:
        """Looks at where every host leads now and then, until cancelled: a promotion is found also
        if all connections last. Also with one host: its name or a pooler may lead elsewhere."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look()

    async def _look(self) -> None:
        urls = self.target.urls or (self.target.url,)
        found = await self._open_each(urls)
        # One that another host has shown to be behind is to know it.
        behind = [
            url
            for url, connection in zip(urls, found, strict=True)
            if isinstance(connection, asyncpg.Connection) and connection.is_closed()
        ]
        found += await self._open_each(behind)
        for connection in found:
            if isinstance(connection, asyncpg.Connection):
                connection.terminate()
        refusals = {f"{error}" for error in found if isinstance(error, StaleServer)}
        for why in sorted(refusals - self._refusals):
            log.warning("%s", why)
        self._refusals = refusals

    async def _open_each(self, urls: Sequence[str]) -> list[asyncpg.Connection | BaseException]:
        """A connection to each, or why there is none."""
        options = {
            "timeout": self.target.connect_seconds,
            "statement_cache_size": 0,  # There may be a pooler in between.
            "server_settings": {"application_name": self.target.application_name or "jobsvc-look"},
        }
        found = await asyncio.gather(
            *(self._open(url, **options) for url in urls), return_exceptions=True
        )
        for error in found:
            if isinstance(error, BaseException) and not isinstance(error, _FAILURES):
                raise error
        return found

    async def connect(self, *_: Any, **options: Any) -> Any:
        """Returns a connection, as the driver would make it from the DSN; `options` are its own. If
        that leads to an old primary, to the first host that does not.

        Raises: what the driver raises, and
            StaleServer: no host can be used.
        """
        try:
            return await self._open(self.target.url, **options)
        except StaleServer:
            if len(self.target.urls) < 2:
                raise
            for url in self.target.urls:
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
        row = None if self._is_migrating else await self._ask(connection, self._read_timeline)
        if row is None:
            row = await self._ask(connection, self._read_server, self._schema)
            if row is None:
                return None
            if self._is_migrating and row["has_notes"]:
                row = await self._ask(connection, self._read_timeline) or row
        # The host that the driver has chosen; nothing else tells.
        place: Any = connection._addr  # type: ignore[attr-defined]  # not in the stubs
        address = place if isinstance(place, str) else f"{place[0]}:{place[1]}"
        seen_elsewhere = row["seen_elsewhere"] if self._obeys_notes else 0
        return ServerIdentity(address, row["system_identifier"], row["timeline"], seen_elsewhere)

    async def _ask(self, connection: asyncpg.Connection, text: str, *values: str) -> Any:
        """Returns the row of a server; None if this role may not have it."""
        try:
            return await connection.fetchrow(text, *values, timeout=self.target.connect_seconds)
        except (asyncpg.SyntaxOrAccessError, asyncpg.FeatureNotSupportedError) as error:
            if not self._is_blindness_told:
                log.warning("an old primary may not be told from the current one: %s", error)
            self._is_blindness_told = True
            return None

    async def _fence(self, connection: asyncpg.Connection, seen: Seen) -> None:
        """Makes an old primary known to those who ask only it."""
        system, timeline = seen.system_identifier, seen.timeline
        values = system, timeline, self._channel, timeline_message(system, timeline)
        try:
            await connection.fetch(self._record, *values, timeout=_NOTE_SECONDS)
        except _FAILURES as error:
            log.info("the old primary takes no note of a later timeline: %r", error)
