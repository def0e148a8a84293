"""WatchJobs over several replicas: hints make it prompt, polls complete, bookmarks lossless."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from grpc import aio

from jobsvc.app import Replica, replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create
from tests.api.support.watch_stream import Watch
from tests.api.support.worker import failure, lease_all, lease_one, report, success
from tests.support.settings import TEST_SETTINGS

_PENDING, _PROCESSING = job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_PROCESSING
_COMPLETED, _FAILED = job_pb2.JOB_STATE_COMPLETED, job_pb2.JOB_STATE_FAILED
OF_QUEUE = pb.JobFilter(queues=["q"])

Start = Callable[[], AbstractAsyncContextManager[Replica]]


@asynccontextmanager
async def stubs(on: Replica) -> AsyncIterator[tuple[JobServiceStub, WorkerServiceStub]]:
    async with aio.insecure_channel(f"127.0.0.1:{on.port}") as channel:
        yield JobServiceStub(channel), WorkerServiceStub(channel)


async def create_at(jobs: JobServiceStub, **spec: Any) -> str:
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q", **spec))
    return (await jobs.CreateJob(request)).job.id


async def live_a_life(jobs: JobServiceStub, workers: WorkerServiceStub, watch: Watch) -> None:
    """Every step of a job is told: it is created, begins, fails, begins again, completes."""
    job_id = await create_at(jobs)
    await watch.until_state(job_id, _PENDING)
    lease = await lease_one(workers)
    await watch.until_state(job_id, _PROCESSING)
    await report(workers, failure(lease, retry_delay=0))
    await watch.until_state(job_id, _PENDING)
    lease = await lease_one(workers)
    await watch.until_state(job_id, _PROCESSING)
    await report(workers, success(lease))
    await watch.until_state(job_id, _COMPLETED)
    assert [version for told, version, _ in watch.told if told == job_id] == [1, 2, 3, 4, 5]


async def test_changes_on_another_replica_come_without_a_poll(
    dsn: str, queue: str, jobs: JobServiceStub
) -> None:
    slow = replace(TEST_SETTINGS, poll_interval_seconds=600.0)
    async with (
        replica(dsn, slow) as near,
        replica(dsn, slow) as far,
        stubs(near) as (watched, _),
        stubs(far) as (elsewhere, workers),
    ):
        watch = await Watch(watched, filter=OF_QUEUE).synced()
        reading = asyncio.ensure_future(watch.until(lambda: watch.told))
        # Until the other one knows that jobs are watched.
        async with asyncio.timeout(40):
            while not reading.done():
                await create_at(elsewhere)
                await asyncio.wait([reading], timeout=0.05)
        await lease_all(workers)
        await live_a_life(elsewhere, workers, watch)


async def test_without_hints_changes_on_another_replica_come_with_the_poll(
    dsn: str, queue: str, create: Create
) -> None:
    deaf = replace(TEST_SETTINGS, pooler="transaction")
    async with (
        replica(dsn, deaf) as near,
        replica(dsn, deaf) as far,
        stubs(near) as (watched, _),
        stubs(far) as (elsewhere, workers),
    ):
        watch = await Watch(watched, filter=OF_QUEUE).synced()
        await live_a_life(elsewhere, workers, watch)


@pytest.mark.parametrize("full", [False, True])
async def test_watch_that_is_resumed_again_and_again_loses_nothing(
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    queue: str,
    start_replica: Start,
    full: bool,
) -> None:
    """Jobs live on two replicas, and the reader goes from one to the other, after whatever message;
    what happens while it is on neither comes, too."""
    async with AsyncExitStack() as up:
        other = await up.enter_async_context(start_replica())
        sides = [(jobs, workers), await up.enter_async_context(stubs(other))]
        created: list[str] = []
        chance = random.Random(4)
        stop = asyncio.Event()

        async def live(side: tuple[JobServiceStub, WorkerServiceStub]) -> None:
            while not stop.is_set():
                created.append(await create_at(side[0]))
                for lease in await lease_all(side[1], max_jobs=2):
                    good = chance.random() < 0.7
                    await report(side[1], success(lease) if good else failure(lease, retry_delay=0))

        view = job_pb2.JOB_VIEW_FULL if full else job_pb2.JOB_VIEW_BASIC
        latest: dict[str, int] = {}
        watch = await Watch(jobs, filter=OF_QUEUE, changes_only=True, view=view).synced()
        bookmark = watch.bookmark
        async with asyncio.TaskGroup() as tasks:
            living = [tasks.create_task(live(side)) for side in sides]
            for turn in range(12):
                wanted = chance.randint(0, 60)
                if turn % 3:
                    await watch.until_told(wanted)
                else:
                    await watch.until_bookmark()
                latest |= {job_id: u.status.state for job_id, u in watch.latest.items()}
                bookmark = watch.bookmark or bookmark
                watch.call.cancel()
                # While it is on neither.
                created.append(await create_at(sides[turn % 2][0]))
                for lease in await lease_all(sides[turn % 2][1], max_jobs=1):
                    await report(sides[turn % 2][1], success(lease))
                watch = Watch(sides[turn % 2][0], filter=OF_QUEUE, bookmark=bookmark, view=view)
            stop.set()
            await asyncio.wait(living)
        ends = await _finish(sides)
        await watch.until(
            lambda: all((watch.state(i) or latest.get(i)) == end for i, end in ends.items())
        )
        assert set(ends) == set(created)
        watch.call.cancel()


async def _finish(sides: list[tuple[JobServiceStub, WorkerServiceStub]]) -> dict[str, int]:
    """Lets the jobs that are left end; returns the state of all that have ended."""
    jobs, workers = sides[0]
    while leases := await lease_all(workers):
        for lease in leases:
            await report(workers, success(lease))
    ends: dict[str, int] = {}
    request = pb.ListJobsRequest(filter=OF_QUEUE, page_size=1000)
    while True:
        page = await jobs.ListJobs(request)
        for job in page.jobs:
            if job.status.state in (_COMPLETED, _FAILED):
                ends[job.id] = job.status.state
        if not page.next_page_token:
            return ends
        request.page_token = page.next_page_token
