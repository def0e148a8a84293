"""A TCP load balancer: each new connection goes to the next server."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Balancer:
    """Forwards connections to the servers of `ports` in turn."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self.target = ""
        #: How many connections are open to each port.
        self.open: Counter[int] = Counter()
        self._turn = 0

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forwards one connection until either side closes it."""
        port = self.ports[self._turn % len(self.ports)]
        self._turn += 1
        upstream = await asyncio.open_connection("127.0.0.1", port)
        self.open[port] += 1
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(_forward(reader, upstream[1]))
                directions.create_task(_forward(upstream[0], writer))
        finally:
            self.open[port] -= 1


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def balancer(*ports: int) -> AsyncIterator[Balancer]:
    """A balancer that runs while the block does."""
    running = Balancer(list(ports))
    server = await asyncio.start_server(running.connect, "127.0.0.1", 0)
    async with server:
        running.target = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield running
