"""One session key is replaced by another, and no session is parted from its jobs."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.app import replica
from jobsvc.settings import DATABASE_KEY, Settings
from jobsvc.v1 import job_pb2, queue_service_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.bulk import COMPLETED, bulk_to_the_end
from tests.api.support.refusal import refused
from tests.api.support.watch_stream import Watch

SESSION = (("x-session-id", "a session of somebody"),)
_NOT_OWNED = (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
_REQUEST_ID = "0198c5a0-0000-7000-8000-000000000001"

Serve = Callable[..., AbstractAsyncContextManager[JobServiceStub]]


@pytest.fixture
def serve(dsn: str, settings: Settings) -> Serve:
    """Serves with these session keys: a replica after a restart, or beside others."""

    @asynccontextmanager
    async def serving(*keys: str) -> AsyncIterator[JobServiceStub]:
        async with (
            replica(dsn, replace(settings, session_keys=keys)) as running,
            aio.insecure_channel(f"127.0.0.1:{running.port}") as channel,
        ):
            queue = queue_service_pb2.Queue(name="q")
            declared = queue_service_pb2.UpdateQueueRequest(queue=queue, allow_missing=True)
            await QueueServiceStub(channel).UpdateQueue(declared)
            yield JobServiceStub(channel)

    return serving


async def created(jobs: JobServiceStub, request_id: str = "") -> str:
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"), request_id=request_id)
    return (await jobs.CreateJob(request, metadata=SESSION)).job.id


async def read(jobs: JobServiceStub, job_id: str) -> str:
    return (await jobs.GetJob(pb.GetJobRequest(job_id=job_id), metadata=SESSION)).job.id


async def listed(jobs: JobServiceStub) -> set[str]:
    request = pb.ListJobsRequest(filter=pb.JobFilter(own_session=True))
    return {job.id for job in (await jobs.ListJobs(request, metadata=SESSION)).jobs}


# From a key of one's own, and from that of the database.
@pytest.mark.parametrize("old", ["old", DATABASE_KEY])
async def test_key_is_replaced_while_replicas_restart_one_after_the_other(
    serve: Serve, old: str
) -> None:
    ids = []
    # As configuration.md has it; each step while replicas of the step before still serve.
    steps = [(old,), (old, "new"), ("new", old)]
    async with serve(*([] if old == DATABASE_KEY else [old])) as before:
        ids.append(await created(before))
    for now, then in pairwise(steps):
        async with serve(*now) as one, serve(*then) as other:
            ids += [await created(one), await created(other)]
            for jobs in (one, other):
                assert [await read(jobs, job_id) for job_id in ids] == ids
                assert await listed(jobs) == set(ids)
    async with serve("new") as after:
        # Those of the last step alone; documented to wait for the retention before.
        assert await listed(after) == {ids[-1]}
        refusal = await refused(read(after, ids[0]))
        assert refusal.what == _NOT_OWNED


async def test_call_that_is_repeated_over_the_change_of_keys_finds_its_job(serve: Serve) -> None:
    async with serve("old") as before:
        job_id = await created(before, _REQUEST_ID)
        bulk = pb.BulkJobsRequest(filter={}, cancel={}, request_id=_REQUEST_ID)
        operation = (await before.BulkJobs(bulk, metadata=SESSION)).operation
    async with serve("new", "old") as after:
        assert await created(after, _REQUEST_ID) == job_id
        repeated = (await after.BulkJobs(bulk, metadata=SESSION)).operation
        assert repeated.id == operation.id
        mine = await after.ListBulkOperations(pb.ListBulkOperationsRequest(), metadata=SESSION)
        assert [each.id for each in mine.operations] == [operation.id]


async def test_bulk_operation_reaches_the_jobs_of_its_session_under_both_keys(
    serve: Serve, sql: asyncpg.Connection
) -> None:
    async with serve("old") as before:
        await created(before)
    async with serve("other") as stranger:
        await created(stranger)
    async with serve("new", "old") as after:
        await created(after)
        operation = await bulk_to_the_end(
            after, SESSION, filter=pb.JobFilter(own_session=True), cancel={}
        )
    assert (operation.state, operation.done_count) == (COMPLETED, 2)
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 1


async def test_watch_of_a_session_has_its_jobs_under_both_keys(serve: Serve) -> None:
    async with serve("old") as before, serve("new", "old") as after:
        watch = await Watch(after, SESSION, filter=pb.JobFilter(own_session=True)).synced()
        wanted = {await created(before), await created(after)}
        await watch.until(lambda: wanted <= watch.latest.keys())
        watch.call.cancel()
