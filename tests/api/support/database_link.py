"""A way to the database that can be cut and mended: a socket that passes bytes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

_SOCKET = ".s.PGSQL.5432"


class DatabaseLink:
    """A server that goes by the way is told apart from the database only by what it sees."""

    def __init__(self, dsn: str, folder: Path) -> None:
        parts = urlsplit(dsn)
        query = parse_qs(parts.query)
        self._database = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
        self._socket = folder / _SOCKET
        #: What to connect to instead of the database.
        self.dsn = urlunsplit(parts._replace(query=f"host={folder}&port=5432"))
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        #: Connections so far.
        self.opened = 0
        #: Connections before this one are dead.
        self._first_alive = 0
        #: Bytes that were sent and lost.
        self.lost_bytes = 0

    def kill_silently(self) -> None:
        """Loses, from now on, what is sent either way on the connections that are open."""
        self._first_alive = self.opened

    async def mend(self) -> None:
        """Takes connections, from now on."""
        self._server = await asyncio.start_unix_server(self._pass_on, self._socket)

    async def cut(self) -> None:
        """Breaks every connection and takes no more."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._socket.unlink(missing_ok=True)
        await self._server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.opened = self.opened, self.opened + 1
        there_reader, there_writer = await asyncio.open_unix_connection(self._database)
        pair = {writer, there_writer}
        self._writers |= pair
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._copy(number, reader, there_writer))
                tasks.create_task(self._copy(number, there_reader, writer))
        finally:
            self._writers -= pair

    async def _copy(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if number >= self._first_alive:
                    writer.write(data)
                    await writer.drain()
                else:
                    self.lost_bytes += len(data)
        writer.close()


@asynccontextmanager
async def database_link(dsn: str, folder: Path) -> AsyncIterator[DatabaseLink]:
    """A link that is whole at first."""
    link = DatabaseLink(dsn, folder)
    await link.mend()
    try:
        yield link
    finally:
        await link.cut()
