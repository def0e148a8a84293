"""The policy says how many jobs of a service may wait, whoever of its callers creates them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.domain.identity import ROLES
from jobsvc.domain.job_id import new_job_id
from jobsvc.settings import Settings
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.identities import POLICY, Metadata, authenticating, bearer
from tests.api.support.refusal import Refusal, refused
from tests.support.issuer import Issuer
from tests.support.probe import eventually

#: The stub is typed for a blocking channel.
Stub = Any
_MOST = 5
_SHARES = f"""
[[rules]]
identity = "jwt:shop*"
service = "shop"
share = {{waiting_jobs = {_MOST}}}
"""


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, issuer: Issuer) -> Settings:
    made = authenticating(settings, tmp_path, issuer)
    (tmp_path / "policy.toml").write_text(_SHARES + POLICY)
    return replace(made, poll_interval_seconds=0.2)


@pytest.fixture
def shop(issuer: Issuer) -> Metadata:
    return bearer(issuer.token("shop", tuple(ROLES)))


@pytest.fixture
def bank(issuer: Issuer) -> Metadata:
    """A service of which any number may wait."""
    return bearer(issuer.token("bank", tuple(ROLES)))


@pytest.fixture
def jobs(channel: aio.Channel) -> Stub:
    return JobServiceStub(channel)


@pytest.fixture(autouse=True)
async def queues(channel: aio.Channel, bank: Metadata) -> None:
    for name in ("q", "other"):
        request = queue_pb.UpdateQueueRequest(queue=queue_pb.Queue(name=name), allow_missing=True)
        await QueueServiceStub(channel).UpdateQueue(request, metadata=bank)


def _request(queue: str = "q", **fields: Any) -> pb.CreateJobRequest:
    return pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue, **fields))


async def _create(jobs: Stub, metadata: Metadata, count: int, queue: str = "q") -> list[str]:
    request = pb.BatchCreateJobsRequest(requests=[_request(queue)] * count)
    response = await jobs.BatchCreateJobs(request, metadata=metadata)
    return [each.job.id for each in response.responses]


def _check(seen: Refusal) -> None:
    assert seen.what == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    (violation,) = seen.details["QuotaFailure"].violations
    assert violation.subject == "your share of waiting jobs"
    assert seen.details["RetryInfo"].retry_delay.ToMilliseconds() > 0


async def _cancel(jobs: Stub, metadata: Metadata, job_ids: Sequence[str]) -> None:
    for job_id in job_ids:
        await jobs.CancelJob(pb.CancelJobRequest(job_id=job_id), metadata=metadata)


async def test_no_more_jobs_of_a_service_wait_than_may(
    jobs: Stub,
    issuer: Issuer,
    shop: Metadata,
    bank: Metadata,
    sql: asyncpg.Connection,
) -> None:
    # In all queues together, and of all its callers, those that wait for a time too.
    await _create(jobs, shop, 2)
    await _create(jobs, bearer(issuer.token("shop-web", tuple(ROLES))), 2, "other")
    await jobs.CreateJob(_request(schedule_delay=Duration(seconds=600)), metadata=shop)
    before = await sql.fetchval("SELECT count(*) FROM job")
    _check(await refused(jobs.CreateJob(_request(), metadata=shop)))
    _check(await refused(_create(jobs, shop, 1)))
    preview = _request()
    preview.validate_only = True
    _check(await refused(jobs.CreateJob(preview, metadata=shop)))
    assert await sql.fetchval("SELECT count(*) FROM job") == before == _MOST
    await _create(jobs, bank, 2 * _MOST)
    assert await sql.fetchval("SELECT count(*) FROM waiting WHERE counted_service IS NOT NULL") == 5


async def test_batch_that_is_too_large_is_refused_whole(
    jobs: Stub, shop: Metadata, sql: asyncpg.Connection
) -> None:
    _check(await refused(_create(jobs, shop, _MOST + 1)))
    assert await sql.fetchval("SELECT count(*) FROM job") == 0
    await _create(jobs, shop, _MOST)


async def test_what_was_created_before_is_found_when_as_many_wait_as_may(
    jobs: Stub, shop: Metadata
) -> None:
    request = _request()
    request.request_id = new_job_id()
    first = await jobs.CreateJob(request, metadata=shop)
    await _create(jobs, shop, _MOST - 1)
    _check(await refused(jobs.CreateJob(_request(), metadata=shop)))
    again = await jobs.CreateJob(request, metadata=shop)
    assert again.job.id == first.job.id


async def test_jobs_that_wait_no_more_make_room(jobs: Stub, shop: Metadata) -> None:
    job_ids = await _create(jobs, shop, _MOST)
    _check(await refused(_create(jobs, shop, 1)))
    await _cancel(jobs, shop, job_ids[:2])

    async def room() -> bool:
        try:
            await _create(jobs, shop, 2)
        except aio.AioRpcError:
            return False
        return True

    await eventually(_asking(room), seconds=60)
    _check(await refused(_create(jobs, shop, 1)))


async def test_leased_job_counts_again_when_it_goes_back(
    jobs: Stub, shop: Metadata, sql: asyncpg.Connection, channel: aio.Channel
) -> None:
    await _create(jobs, shop, 1)
    await sql.execute(
        "WITH gone AS (DELETE FROM waiting RETURNING *) INSERT INTO lease (job_id, lease_id, queue,"
        " rank, run_at, attempt, redeliveries, version, update_time, keyed, worker_id, start_time,"
        " duration, until, deadline, counted_service) SELECT job_id, 1, queue, rank, run_at, 1, 0,"
        " version + 1, update_time, keyed, 'shop w', now(), 30, now(), now() + interval '1 hour',"
        " counted_service FROM gone"
    )
    # Its lease lapses.
    await eventually(
        lambda: sql.fetchval("SELECT counted_service FROM waiting"),
        lambda s: s == "shop",
        seconds=60,
    )


async def test_retried_job_needs_room(jobs: Stub, shop: Metadata, bank: Metadata) -> None:
    job_ids = await _create(jobs, shop, 2)
    await _cancel(jobs, shop, job_ids)
    await eventually(_asking(_fills, jobs, shop), seconds=60)
    seen = await refused(jobs.RetryJob(pb.RetryJobRequest(job_id=job_ids[0]), metadata=shop))
    _check(seen)
    (theirs,) = await _create(jobs, bank, 1)
    await _cancel(jobs, bank, [theirs])
    await jobs.RetryJob(pb.RetryJobRequest(job_id=theirs), metadata=bank)


def _asking(check: Callable[..., Awaitable[bool]], *about: Any) -> Callable[[], Any]:
    return lambda: check(*about)


async def _fills(jobs: Stub, shop: Metadata) -> bool:
    """Creates jobs until as many wait as may."""
    try:
        while True:
            await _create(jobs, shop, 1)
    except aio.AioRpcError as error:
        listed = pb.CountJobsRequest()
        listed.filter.states.append(job_pb2.JOB_STATE_PENDING)
        counted = await jobs.CountJobs(listed, metadata=shop)
        return error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and counted.count == _MOST


async def test_retried_job_counts(jobs: Stub, shop: Metadata, sql: asyncpg.Connection) -> None:
    (job_id,) = await _create(jobs, shop, 1)
    await _cancel(jobs, shop, [job_id])
    await jobs.RetryJob(pb.RetryJobRequest(job_id=job_id), metadata=shop)
    assert await sql.fetchval("SELECT counted_service FROM waiting") == "shop"


async def test_bulk_retry_waits_for_room(
    jobs: Stub, shop: Metadata, sql: asyncpg.Connection
) -> None:
    old = await _create(jobs, shop, 3)
    await _cancel(jobs, shop, old)
    await eventually(_asking(_fills, jobs, shop), seconds=60)
    request = pb.BulkJobsRequest(retry=pb.BulkRetry(), filter=pb.JobFilter())
    operation = (await jobs.BulkJobs(request, metadata=shop)).operation
    await eventually(_asking(_is_stuck, jobs, shop, operation.id), seconds=60)
    stuck = await _operation(jobs, shop, operation.id)
    assert "of your service wait" in stuck.last_error.message
    assert stuck.done_count == 0
    waiting = await sql.fetch("SELECT job_id::text FROM waiting LIMIT 3")
    await _cancel(jobs, shop, [row[0] for row in waiting])
    await eventually(_asking(_is_done, jobs, shop, operation.id), seconds=60)
    assert await sql.fetchval("SELECT count(*) FROM waiting WHERE counted_service = 'shop'") == 5


async def _is_stuck(jobs: Stub, shop: Metadata, operation_id: str) -> bool:
    return bool((await _operation(jobs, shop, operation_id)).last_error.message)


async def _is_done(jobs: Stub, shop: Metadata, operation_id: str) -> bool:
    return bool((await _operation(jobs, shop, operation_id)).done_count == 3)


async def _operation(jobs: Stub, shop: Metadata, operation_id: str) -> Any:
    request = pb.GetBulkOperationRequest(operation_id=operation_id)
    return (await jobs.GetBulkOperation(request, metadata=shop)).operation


async def test_jobs_of_a_stream_are_refused_each_for_itself(
    jobs: Stub, shop: Metadata, sql: asyncpg.Connection
) -> None:
    stream = jobs.Submit(metadata=shop)
    items = [
        pb.SubmitJob(tag=tag, request=pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q")))
        for tag in range(_MOST + 3)
    ]
    for item in items:
        item.request.request_id = new_job_id()
    await stream.write(pb.SubmitRequest(jobs=items))
    results = await _results(stream, len(items))
    failed = [r for r in results.values() if r.HasField("error")]
    assert len(failed) == 3
    assert {r.error.code for r in failed} == {grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]}
    assert all("of your service wait" in r.error.message for r in failed)
    # What was created is found again, though there is no room.
    await stream.write(pb.SubmitRequest(jobs=items))
    again = await _results(stream, len(items))
    assert {tag for tag, r in again.items() if r.HasField("error")} == {
        tag for tag, r in results.items() if r.HasField("error")
    }
    await stream.done_writing()
    assert await sql.fetchval("SELECT count(*) FROM job") == _MOST


async def _results(stream: Any, count: int) -> dict[int, Any]:
    found: dict[int, Any] = {}
    async with asyncio.timeout(60):
        while len(found) < count:
            response = await stream.read()
            found |= {result.tag: result for result in response.results}
    return found
