"""`unique_key`: one job of a queue that has not ended holds it, under both policies."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refusal, refused

_TAKEN = (grpc.StatusCode.ALREADY_EXISTS, "UNIQUE_KEY_TAKEN")
_FAIL = job_pb2.UNIQUE_CONFLICT_POLICY_FAIL
_USE = job_pb2.UNIQUE_CONFLICT_POLICY_USE_EXISTING


def _request(policy: int = 0, key: str = "k", queue: str = "q", **fields: str) -> object:
    spec = job_pb2.JobSpec(queue=queue, unique_key=key, unique_conflict_policy=policy)
    return pb.CreateJobRequest(spec=spec, **fields)


async def test_taken_key_answers_with_its_holder(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    first = await jobs.CreateJob(_request())
    before = await tables()
    for policy in (0, _USE):
        second = await jobs.CreateJob(_request(policy))
        assert second.existing
        assert second.job == first.job
    assert await tables() == before


async def test_taken_key_is_refused_where_asked(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    first = await jobs.CreateJob(_request(_FAIL))
    before = await tables()
    refusal = await refused(jobs.CreateJob(_request(_FAIL)))
    assert refusal.what == _TAKEN
    assert refusal.metadata["jobId"] == first.job.id
    assert refusal.details["ResourceInfo"].resource_name == first.job.id
    assert await tables() == before


async def test_somebody_elses_holder_is_not_shown(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    await jobs.CreateJob(_request(), metadata=(("x-session-id", "one"),))
    before = await tables()
    refusal = await refused(jobs.CreateJob(_request(), metadata=(("x-session-id", "two"),)))
    assert refusal.what == (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
    assert await tables() == before


async def test_keys_of_other_queues_are_other_keys(
    jobs: JobServiceStub, queue: str, declare: Callable[..., Awaitable[object]]
) -> None:
    await declare("other")
    first = await jobs.CreateJob(_request(_FAIL))
    second = await jobs.CreateJob(_request(_FAIL, queue="other"))
    assert first.job.id != second.job.id


async def test_ended_job_lets_its_key_go(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    first = await create(unique_key="k")
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 second'")
    await jobs.WaitJob(pb.WaitJobRequest(job_id=first.id))
    second = await jobs.CreateJob(_request(_FAIL))
    assert not second.existing
    assert second.job.id != first.id


async def test_one_of_100_at_once_gets_the_key_and_all_get_its_job(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    answers = await asyncio.gather(*(jobs.CreateJob(_request(_USE)) for _ in range(100)))
    assert len({answer.job.id for answer in answers}) == 1
    assert sum(not answer.existing for answer in answers) == 1
    assert await sql.fetchval("SELECT count(*) FROM job") == 1


async def test_one_of_100_at_once_gets_the_key_and_the_others_fail(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    calls = (jobs.CreateJob(_request(_FAIL)) for _ in range(100))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    made = [a.job.id for a in answers if isinstance(a, pb.CreateJobResponse)]
    refusals = [refusal(a) for a in answers if isinstance(a, aio.AioRpcError)]
    assert (len(made), len(refusals)) == (1, 99)
    assert {(r.what, r.metadata["jobId"]) for r in refusals} == {(_TAKEN, made[0])}
    assert await sql.fetchval("SELECT count(*) FROM job") == 1


async def test_repeated_call_is_no_rival_of_itself(jobs: JobServiceStub, queue: str) -> None:
    request = _request(_FAIL, request_id=str(uuid4()))
    answers = await asyncio.gather(*(jobs.CreateJob(request) for _ in range(20)))
    assert len({answer.job.id for answer in answers}) == 1
    assert sum(not answer.existing for answer in answers) == 1


@pytest.mark.parametrize("policy", [_USE, _FAIL])
async def test_repeated_call_returns_its_own_job_when_another_one_has_the_key_by_now(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection, tables: Tables, policy: int
) -> None:
    first = _request(policy, request_id=str(uuid4()))
    job_id = (await jobs.CreateJob(first)).job.id
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 second'")
    await jobs.WaitJob(pb.WaitJobRequest(job_id=job_id))
    await jobs.CreateJob(_request(policy, request_id=str(uuid4())))
    before = await tables()
    again = await jobs.CreateJob(first)
    assert (again.existing, again.job.id) == (True, job_id)
    batch = await jobs.BatchCreateJobs(pb.BatchCreateJobsRequest(requests=[first]))
    assert [(r.existing, r.job.id) for r in batch.responses] == [(True, job_id)]
    assert await tables() == before
