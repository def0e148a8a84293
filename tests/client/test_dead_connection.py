"""A connection that died silently: nothing comes back on it any more."""

import asyncio

import pytest

from jobsvc.app import Replica
from jobsvc.client import AsyncClient, CallFailed, JobNotFound
from tests.client.support.messages import JOB_ID
from tests.e2e.support.proxy import proxy


async def test_dead_connection_is_given_up(server: Replica) -> None:
    async with proxy(server.port) as way, AsyncClient(way.target, timeout=1.0) as client:
        with pytest.raises(JobNotFound):
            await client.get(JOB_ID)
        way.kill_silently()
        failures = 0
        async with asyncio.timeout(25):
            while True:
                try:
                    await client.get(JOB_ID)
                except JobNotFound:
                    break
                except CallFailed:
                    failures += 1
        assert failures, "it was not dead"
