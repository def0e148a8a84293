"""Callers see of trouble inside never more than is meant for them."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.app import Replica, replica
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1 import worker_service_pb2 as worker_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.database_link import DatabaseLink
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import details_of, refused
from tests.api.support.status_stream import follow, synced, update
from tests.api.support.worker import OK, lease_all, lease_one, results, success
from tests.api.support.worker_stream import work
from tests.support.probe import eventually

_AWAY = (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
_INTERNAL = (grpc.StatusCode.INTERNAL, "INTERNAL_ERROR")
_TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_unknown_error_reaches_the_caller_without_its_text(
    create: Create,
    jobs: JobServiceStub,
    queues: QueueServiceStub,
    sql: asyncpg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = await create()
    await sql.execute("ALTER TABLE job ALTER COLUMN labels TYPE integer USING 0")
    for call in (
        create(),
        jobs.BatchCreateJobs(
            pb.BatchCreateJobsRequest(
                requests=[pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))]
            )
        ),
        jobs.GetJob(pb.GetJobRequest(job_id=job.id)),
        jobs.WaitJob(pb.WaitJobRequest(job_id=job.id)),
        follow(jobs, job.id).read(),
    ):
        refusal = await refused(call)
        assert refusal.what == _INTERNAL
        assert refusal.message == "internal error"
        assert set(refusal.details) == {"ErrorInfo"}
        assert "labels" not in str(refusal.details)
    assert "labels" in caplog.text
    # What does not touch the broken column goes on.
    assert (await queues.GetQueue(queue_pb.GetQueueRequest(name="q"))).queue.name == "q"


async def test_trace_of_an_unknown_error_can_be_looked_up(
    create: Create, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    job = await create()
    await sql.execute("ALTER TABLE job ALTER COLUMN labels TYPE integer USING 0")
    request = pb.GetJobRequest(job_id=job.id)
    refusal = await refused(jobs.GetJob(request, metadata=(("traceparent", _TRACEPARENT),)))
    assert refusal.metadata == {"traceId": _TRACEPARENT.split("-")[1]}


@pytest.fixture
async def server(link: DatabaseLink, settings: Settings) -> AsyncIterator[Replica]:
    """A replica that goes by the link."""
    async with replica(link.dsn, settings) as running:
        yield running


async def test_database_away_is_said_by_every_call_and_over_when_it_is_back(
    link: DatabaseLink,
    create: Create,
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    queues: QueueServiceStub,
    tables: Tables,
) -> None:
    job = await create()
    lease = await lease_one(workers)
    before = await tables()
    await link.cut()
    extension = worker_pb.ExtendLeasesRequest(extensions=[{"lease_id": lease.lease_id}])
    for call in (
        create(),
        create(request_id="018f4e7a-0000-7000-8000-000000000000", unique_key="k"),
        jobs.BatchCreateJobs(
            pb.BatchCreateJobsRequest(
                requests=[pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"))]
            )
        ),
        jobs.GetJob(pb.GetJobRequest(job_id=job.id)),
        jobs.WaitJob(pb.WaitJobRequest(job_id=job.id)),
        follow(jobs, job.id).read(),
        lease_all(workers),
        workers.ExtendLeases(extension),
        workers.ReportOutcomes(worker_pb.ReportOutcomesRequest(outcomes=[success(lease)])),
        queues.UpdateQueue(queue_pb.UpdateQueueRequest(queue={"name": "q"})),
        queues.GetQueue(queue_pb.GetQueueRequest(name="q")),
        queues.ListQueues(queue_pb.ListQueuesRequest()),
        queues.GetQueueStats(queue_pb.GetQueueStatsRequest()),
    ):
        refusal = await refused(call)
        assert refusal.what == _AWAY
        assert refusal.details["RetryInfo"].retry_delay.seconds == 1
    assert await tables() == before
    await link.mend()
    assert (await create()).id


async def test_worker_stream_outlives_an_absence_of_the_database(
    link: DatabaseLink, create: Create, channel: aio.Channel
) -> None:
    await create()
    await create()
    async with work(channel) as stream:
        first, second = await stream.dispatched()
        await link.cut()
        report = worker_pb.ReportOutcomesRequest(
            outcomes=[success(first)], succeeded_lease_ids=[second.lease_id]
        )
        await stream.send(report_outcomes=report)
        away = await stream.frame("outcome_results")
        assert not away.committed_lease_ids
        assert [r.lease_id for r in away.results] == [first.lease_id, second.lease_id]
        for result in away.results:
            assert grpc.StatusCode.UNAVAILABLE.value[0] == result.status.code
            assert details_of(result.status)["ErrorInfo"].reason == "DATABASE_UNAVAILABLE"
        await link.mend()
        await stream.send(report_outcomes=report)
        mended = await stream.frame("outcome_results")
        assert results(mended) == [OK]
        assert list(mended.committed_lease_ids) == [second.lease_id]
        await create()
        assert len(await stream.dispatched()) == 1


async def test_status_stream_ends_when_the_database_is_away_and_can_be_opened_again(
    link: DatabaseLink, create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create()
    call = follow(jobs, job.id)
    await update(call)
    await synced(call)
    await link.cut()
    refusal = await refused(call.read())
    assert refusal.what == _AWAY
    assert "RetryInfo" in refusal.details
    await link.mend()
    call = follow(jobs, job.id)
    await update(call)
    await synced(call)
    await lease_one(workers)
    assert (await update(call)).status.state == job_pb2.JOB_STATE_PROCESSING
    call.cancel()


async def test_200_calls_cancelled_at_once_leave_the_tables_consistent(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    for round_ in range(5):
        calls = [asyncio.ensure_future(create(unique_key=f"{round_}-{n}")) for n in range(100)]
        calls += [asyncio.ensure_future(lease_all(workers, max_jobs=5)) for _ in range(100)]
        # Each round is cut off at another point of the way.
        await asyncio.wait(calls, timeout=0.02 * round_)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert (await create()).id
    # Nothing is under way any more when two readings are the same.
    counts = """SELECT (SELECT count(*) FROM job),
        (SELECT count(*) FROM waiting) + (SELECT count(*) FROM lease),
        (SELECT count(*) FROM job WHERE id IN (SELECT job_id FROM waiting)
            AND id IN (SELECT job_id FROM lease)),
        (SELECT count(*) FROM held_key)"""
    created, unended, doubled, keys = await eventually(
        lambda: sql.fetchrow(counts), lambda row: row[0] == row[1] == row[3] + 1
    )
    assert doubled == 0
    assert created == unended == keys + 1
