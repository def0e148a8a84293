"""`succeeded_lease_ids`: the short word for work that is done and has no output."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.job_service_pb2 import GetJobRequest
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PayloadSchema
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import (
    LOST,
    OK,
    WORKER,
    failure,
    lease_all,
    lease_one,
    results,
    success,
)
from tests.api.support.worker_stream import create_many, open_stream, subscribe, work

_NONSENSE = "nonsense"


def _ids(*leases: pb.JobLease) -> list[str]:
    return [lease.lease_id for lease in leases]


async def test_subscribed_says_that_they_are_taken(channel: aio.Channel) -> None:
    async with open_stream(channel) as stream:
        await stream.send(subscribe=subscribe())
        assert (await stream.frame("subscribed")).takes_succeeded_lease_ids


@pytest.mark.parametrize("by", ["stream", "call"])
async def test_each_lease_is_answered_on_its_own(
    channel: aio.Channel, jobs: JobServiceStub, workers: WorkerServiceStub, queue: str, by: str
) -> None:
    await create_many(jobs, 6)
    (foreign,) = await lease_all(workers, max_jobs=1, worker_id="w2")
    async with work(channel) as stream:
        first, second, third, failed, last = await stream.dispatched()

        async def send(**fields: Any) -> pb.ReportOutcomesResponse:
            request = pb.ReportOutcomesRequest(worker_id=WORKER, **fields)
            if by == "call":
                return await workers.ReportOutcomes(request)
            await stream.send(report_outcomes=request)
            return await stream.frame("outcome_results")

        answer = await send(
            outcomes=[failure(failed), success(first)],
            succeeded_lease_ids=[*_ids(second, foreign), _NONSENSE, *_ids(third, first)],
        )
        assert list(answer.committed_lease_ids) == _ids(second, third, first)
        assert [r.lease_id for r in answer.results] == [*_ids(failed, first, foreign), _NONSENSE]
        assert results(answer) == [OK, OK, LOST, LOST]
        # Whoever says it again is told again, in either way of saying it.
        again = await send(outcomes=[success(second)], succeeded_lease_ids=_ids(first, failed))
        assert list(again.committed_lease_ids) == _ids(first)
        assert results(again) == [OK, LOST]
        alone = await send(succeeded_lease_ids=_ids(last))
        assert list(alone.committed_lease_ids) == _ids(last)
        assert not alone.results


async def test_it_means_the_empty_object(
    create: Create, workers: WorkerServiceStub, status: Status
) -> None:
    job = await create()
    lease = await lease_one(workers)
    request = pb.ReportOutcomesRequest(succeeded_lease_ids=_ids(lease))
    assert list((await workers.ReportOutcomes(request)).committed_lease_ids) == _ids(lease)
    ended = await status(job.id)
    assert (ended.state, ended.version) == (job_pb2.JOB_STATE_COMPLETED, 3)
    assert not ended.output.json.fields


async def test_no_output_is_held_against_the_schema(
    declare: Callable[..., Awaitable[Any]],
    create: Create,
    workers: WorkerServiceStub,
    status: Status,
) -> None:
    schema = PayloadSchema()
    schema.json_schema.update({"type": "object", "required": ["title"]})
    await declare(output_schema=schema)
    job = await create(retry_policy=job_pb2.RetryPolicy(max_attempts=1))
    request = pb.ReportOutcomesRequest(succeeded_lease_ids=_ids(await lease_one(workers)))
    await workers.ReportOutcomes(request)
    ended = await status(job.id)
    assert (ended.state, ended.error.reason) == (job_pb2.JOB_STATE_FAILED, "OUTPUT_REJECTED")


async def test_jobs_that_are_done_together_are_kept_as_each_asked(
    channel: aio.Channel, jobs: JobServiceStub, create: Create
) -> None:
    asked = [3600, 3600, 7200, 7200, 3600]
    made = [await create(retention=Duration(seconds=seconds)) for seconds in asked]
    async with work(channel) as stream:
        ids = _ids(*await stream.dispatched())
        report = pb.ReportOutcomesRequest(worker_id=WORKER, succeeded_lease_ids=ids)
        await stream.send(report_outcomes=report)
        answer = await stream.frame("outcome_results")
    assert list(answer.committed_lease_ids) == ids
    read = [(await jobs.GetJob(GetJobRequest(job_id=job.id))).job for job in made]
    kept = [job.purge_time.ToSeconds() - job.status.end_time.ToSeconds() for job in read]
    assert kept == asked


async def test_jobs_that_are_done_together_keep_their_own_outputs(
    channel: aio.Channel, jobs: JobServiceStub, queue: str, status: Status
) -> None:
    await create_many(jobs, 3)
    async with work(channel) as stream:
        one, none, other = await stream.dispatched()
        outcomes = [success(one, '{"n":1}'), success(none), success(other, '{"n":2}')]
        await stream.send(report_outcomes=pb.ReportOutcomesRequest(outcomes=outcomes))
        await stream.frame("outcome_results")
    ended = [await status(lease.job_id) for lease in (one, none, other)]
    assert [dict(e.output.json) for e in ended] == [{"n": 1}, {}, {"n": 2}]


async def test_malformed_call_reports_nothing(
    create: Create, workers: WorkerServiceStub, tables: Tables
) -> None:
    await create()
    lease = await lease_one(workers)
    before = await tables()
    for ids, path in (
        ([], "outcomes"),
        (_ids(lease) * 1000, "outcomes"),
        ([lease.lease_id, ""], "succeeded_lease_ids[1]"),
        ([lease.lease_id, "x" * 129], "succeeded_lease_ids[1]"),
    ):
        outcomes = [success(lease)] if len(ids) == 1000 else []
        request = pb.ReportOutcomesRequest(outcomes=outcomes, succeeded_lease_ids=ids)
        refusal = await refused(workers.ReportOutcomes(request))
        assert refusal.reason == "INVALID_REQUEST"
        assert refusal.fields == [path]
        assert await tables() == before
