"""A worker that acknowledges nothing takes hardly any job from the others."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import asyncpg
import pytest
from grpc import aio

from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.worker import OK, success
from tests.api.support.worker_stream import create_many, work
from tests.support.settings import TEST_SETTINGS

_DEAF = "WORKER_DEAF"


@pytest.fixture
def settings() -> object:
    return replace(TEST_SETTINGS, acknowledge_seconds=0.5)


async def test_deaf_worker_takes_hardly_any_job_from_a_slow_one(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    await create_many(jobs, 20)

    async def deaf() -> None:
        """Takes all that it can get, acknowledges nothing, and comes back at once."""
        while True:
            with suppress(aio.AioRpcError):
                async with work(channel, 100, worker_id="deaf") as stream:
                    while await stream.call.read() is not aio.EOF:
                        pass

    async with asyncio.TaskGroup() as tasks, asyncio.timeout(15):
        other = tasks.create_task(deaf())
        async with work(channel, window=1) as stream:
            for _ in range(20):
                (lease,) = await stream.dispatched()
                await asyncio.sleep(0.05)  # The work.
                assert await stream.report(success(lease)) == [OK]
        other.cancel()
    assert await sql.fetchval("SELECT count(*) FROM result WHERE attempt = 1") == 20


@pytest.mark.parametrize("sign", ["acknowledge", "report"])
async def test_worker_that_was_deaf_gets_all_it_asks_for_when_it_hears_again(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, sign: str
) -> None:
    await create_many(jobs, 5)
    async with work(channel) as deaf:
        assert len(await deaf.dispatched(acknowledge=False)) == 5
        assert (await deaf.refusal()).reason == _DEAF
    async with work(channel) as stream:
        leases = await stream.dispatched(acknowledge=False)
        assert len(leases) == 1
        if sign == "acknowledge":
            await stream.acknowledge()
        else:
            outcomes = [success(leases[0])]
            await stream.send(report_outcomes=pb.ReportOutcomesRequest(outcomes=outcomes))
        while len(leases) < 5:
            leases += (await stream.read()).dispatch.leases


async def test_window_that_changes_during_the_trial_counts_after_it(
    channel: aio.Channel, create: Create
) -> None:
    await create()
    async with work(channel) as deaf:
        await deaf.dispatched(acknowledge=False)
        assert (await deaf.refusal()).reason == _DEAF
    async with work(channel, window=0) as stream:
        await stream.set_window(3)
        for _ in range(3):
            await create()
        assert len(await stream.dispatched()) == 1
        assert len(await stream.dispatched()) == 2
