"""Callers with addresses of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from grpc import aio

from jobsvc.app import Replica
from tests.e2e.support.proxy import proxy


@asynccontextmanager
async def peer(server: Replica, address: str) -> AsyncIterator[aio.Channel]:
    """A channel whose peer has this address, as the server sees it."""
    async with proxy(server.port, address) as way, aio.insecure_channel(way.target) as channel:
        yield channel
