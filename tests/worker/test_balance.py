"""Workers spread over replicas as their streams reach their age."""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.worker import Context, Worker, processor
from tests.support.probe import eventually
from tests.support.settings import TEST_SETTINGS
from tests.worker.support.balancer import balancer
from tests.worker.support.callers import Caller

pytestmark = pytest.mark.timeout(60)

WORKERS = 10
#: As long as a run takes, and far less than it would take to lose a lease.
SECONDS = 5.0


@pytest.fixture
def settings() -> Settings:
    return replace(TEST_SETTINGS, max_worker_stream_age_seconds=2.0)


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """The connection of a stream that has ended closes without it: a worker seldom collects."""
    gc.disable()
    yield
    gc.enable()


async def test_workers_that_all_sit_on_one_replica_spread_while_jobs_go_on(
    server: Replica,
    channel: aio.Channel,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
) -> None:
    runs: Counter[str] = Counter()

    @processor("q")
    async def work(value: dict[str, Any], context: Context) -> None:
        runs[context.job_id] += 1
        await asyncio.sleep(0.2)  # the job's own time

    caller = Caller(channel)
    async with AsyncExitStack() as stack:
        balancing = await stack.enter_async_context(balancer(server.port))
        for _ in range(WORKERS):
            worker = Worker([work], target=balancing.target, concurrency=2, grace_seconds=5)
            await stack.enter_async_context(worker)
            await worker.wait_subscribed()
        assert balancing.open[server.port] == WORKERS

        other = await stack.enter_async_context(start_replica())
        balancing.ports.append(other.port)
        seconds: list[float] = []

        async def run() -> None:
            began = time.monotonic()
            job = await caller.run()
            seconds.append(time.monotonic() - began)
            assert job.status.state == job_pb2.JOB_STATE_COMPLETED
            assert job.status.attempt == 1

        def is_spread() -> bool:
            here, there = balancing.open[server.port], balancing.open[other.port]
            return here + there == WORKERS and min(here, there) >= WORKERS // 3

        async with asyncio.TaskGroup() as jobs:
            spreading = jobs.create_task(eventually(is_spread, seconds=30, what="they spread"))
            while not spreading.done():
                jobs.create_task(run())
                await asyncio.sleep(0.02)  # the callers' own pace
    assert max(seconds) < SECONDS
    assert len(runs) == len(seconds)
    assert set(runs.values()) == {1}
