"""A TCP proxy between client and server that can swallow what the server answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Forwards connections to `127.0.0.1:port`, and fails them while nobody is there."""

    def __init__(self, port: int, source: str) -> None:
        self.port = 0
        #: Whether the server's answers are swallowed.
        self.muted = False
        #: Cleared, the server's answers are not read, and so it can send no more.
        self.reads_answers = asyncio.Event()
        self.reads_answers.set()
        self.swallowed_bytes = 0
        self._opened = 0
        #: Connections before this one are dead.
        self._first_alive = 0
        self._dead: list[asyncio.StreamWriter] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._server_port = port
        self._source = (source, 0)
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def target(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def lead_to(self, port: int) -> None:
        """Connects those who come from now on to another server of this machine."""
        self._server_port = port

    def kill_silently(self) -> int:
        """Swallows the server's answers on the connections that are open now, and their end.
        Returns how many there are."""
        self._first_alive = self._opened
        return len(self._open)

    def cut(self) -> int:
        """Breaks the connections that are open now, and returns how many there were."""
        for writer in self._open:
            writer.transport.abort()
        return len(self._open)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self._opened = self._opened, self._opened + 1
        with suppress(ConnectionError):
            try:
                upstream = await asyncio.open_connection(
                    "127.0.0.1", self._server_port, local_addr=self._source
                )
            except OSError:
                writer.close()
                return
            self._open.add(writer)
            try:
                async with asyncio.TaskGroup() as directions:
                    directions.create_task(self._forward(reader, upstream[1]))
                    directions.create_task(self._forward(upstream[0], writer, number))
            finally:
                self._open.discard(writer)

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answers_of: int | None = None,
    ) -> None:
        try:
            while data := await reader.read(65536):
                if answers_of is not None:
                    await self.reads_answers.wait()
                if answers_of is not None and (self.muted or answers_of < self._first_alive):
                    self.swallowed_bytes += len(data)
                    continue
                writer.write(data)
                await writer.drain()
        finally:
            if answers_of is not None and answers_of < self._first_alive:
                self._dead.append(writer)
            else:
                writer.close()


@asynccontextmanager
async def proxy(port: int, source: str = "127.0.0.1") -> AsyncIterator[Proxy]:
    """A proxy before the server on `port`, which sees `source` as the address of its peer."""
    opened = Proxy(port, source)
    connections: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            with suppress(asyncio.CancelledError, BaseExceptionGroup):
                await opened._connect(reader, writer)
        finally:
            connections.discard(task)

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        for writer in opened._dead:
            writer.close()
