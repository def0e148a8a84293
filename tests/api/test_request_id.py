"""`request_id` makes CreateJob idempotent: the same call gives the same job, another is refused."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload
from tests.api.support.fixtures import Tables
from tests.api.support.refusal import refusal, refused
from tests.support.probe import eventually

_ANN = (("x-user-id", "ann"),)
#: The request id of the job that is emptied.
_EMPTIED = "01a20804-e9ba-7c83-b2c8-3509c2b541a3"
_REUSED = (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


def _request(request_id: str, **spec: Any) -> pb.CreateJobRequest:
    return pb.CreateJobRequest(
        spec=job_pb2.JobSpec(**({"queue": "q"} | spec)), request_id=request_id
    )


async def test_repeated_call_returns_the_same_job(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    request = _request(str(uuid4()), priority=3, labels={"a": "1", "b": "2"})
    first = await jobs.CreateJob(request)
    before = await tables()
    second = await jobs.CreateJob(request)
    assert (first.existing, second.existing) == (False, True)
    assert second.job == first.job
    assert await tables() == before


async def test_repeated_call_returns_the_job_as_it_is_then(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    request = _request(str(uuid4()))
    await jobs.CreateJob(request)
    await sql.execute("UPDATE waiting SET version = 9, attempt = 2")
    status = (await jobs.CreateJob(request)).job.status
    assert (status.version, status.attempt) == (9, 2)


@pytest.mark.parametrize(
    "other",
    [
        {"priority": 1},
        {"input": Payload(json_text='{"a": 1}')},
        {"labels": {"a": "1"}},
        {"ttl": Duration(seconds=1)},
        {"retention": Duration()},
        {"unique_key": "k"},
        {"retry_policy": job_pb2.RetryPolicy(max_attempts=1)},
    ],
)
async def test_another_spec_under_the_same_id_is_refused(
    jobs: JobServiceStub, queue: str, tables: Tables, other: dict[str, Any]
) -> None:
    request_id = str(uuid4())
    await jobs.CreateJob(_request(request_id))
    before = await tables()
    refused_call = await refused(jobs.CreateJob(_request(request_id, **other)))
    assert refused_call.what == _REUSED
    resource = refused_call.details["ResourceInfo"]
    assert (resource.resource_type, resource.resource_name) == ("request_id", request_id)
    assert await tables() == before


async def test_one_of_100_equal_ids_at_once_wins(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    request_id = str(uuid4())
    calls = [
        jobs.CreateJob(_request(request_id, input=Payload(json_text=f'{{"half": {n % 2}}}')))
        for n in range(100)
    ]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    created = [a for a in answers if isinstance(a, pb.CreateJobResponse)]
    others = [a for a in answers if not isinstance(a, pb.CreateJobResponse)]
    assert (len(created), len(others)) == (50, 50)
    assert len({answer.job.id for answer in created}) == 1
    assert sum(not answer.existing for answer in created) == 1
    for other in others:
        assert isinstance(other, aio.AioRpcError)
        assert refusal(other).what == _REUSED
    assert await sql.fetchval("SELECT count(*) FROM job JOIN waiting ON id = job_id") == 1


_ONE_OBJECT = {"b": [1, 2.5, None, True, {"x": "é"}], "a": {"c": -3}, "big": 2**53 - 1}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(_ONE_OBJECT),
        json.dumps(_ONE_OBJECT, indent=3, ensure_ascii=False),
        json.dumps(_ONE_OBJECT, sort_keys=True).replace("-3", "-3.0"),
        json.dumps(_ONE_OBJECT).replace("2.5", "25e-1").replace("-3", "-0.3e1"),
    ],
    ids=["plain", "spaced", "point", "exponent"],
)
async def test_both_spellings_of_an_object_are_the_same_request(
    jobs: JobServiceStub, queue: str, text: str
) -> None:
    request_id = str(uuid4())
    struct = Payload()
    struct.json.update(_ONE_OBJECT)
    first = await jobs.CreateJob(_request(request_id, input=struct))
    second = await jobs.CreateJob(_request(request_id, input=Payload(json_text=text)))
    assert second.existing
    assert second.job.id == first.job.id


async def test_unset_and_empty_input_are_the_same_request(jobs: JobServiceStub, queue: str) -> None:
    request_id = str(uuid4())
    first = await jobs.CreateJob(_request(request_id))
    second = await jobs.CreateJob(_request(request_id, input=Payload(json_text=" {} ")))
    assert second.job.id == first.job.id


async def test_somebody_elses_request_id_gives_nothing_away(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    request = _request(str(uuid4()))
    await jobs.CreateJob(request, metadata=(("x-user-id", "ann"),))
    before = await tables()
    refused_call = await refused(jobs.CreateJob(request, metadata=(("x-user-id", "bob"),)))
    assert refused_call.what == (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
    assert await tables() == before


async def test_ended_job_is_found_again(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    request = _request(str(uuid4()), unique_key="k", retention=Duration())
    first = await jobs.CreateJob(request)
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 second'")
    ended = await jobs.WaitJob(pb.WaitJobRequest(job_id=first.job.id))
    assert ended.job.status.state == job_pb2.JOB_STATE_FAILED
    again = await jobs.CreateJob(request)
    assert (again.existing, again.job.id) == (True, first.job.id)
    assert again.job.status.state == job_pb2.JOB_STATE_FAILED


async def _emptied(jobs: JobServiceStub, sql: asyncpg.Connection, **spec: Any) -> job_pb2.Job:
    """A job of ann's that failed, and whose retention is over, as CreateJob answers it."""
    request = _request(_EMPTIED, input=Payload(json_text='{"a": 1}'), labels={"a": "1"}, **spec)
    created = (await jobs.CreateJob(request, metadata=_ANN)).job
    await sql.execute("UPDATE waiting SET expire_time = now() - interval '1 second'")
    await jobs.WaitJob(pb.WaitJobRequest(job_id=created.id), metadata=_ANN)
    await sql.execute("UPDATE result SET purge_time = now()")
    await eventually(lambda: sql.fetchval("SELECT emptied_time IS NOT NULL FROM result"))
    again = await jobs.CreateJob(request, metadata=_ANN)
    assert (again.existing, again.job.id) == (True, created.id)
    return again.job


async def test_creation_repeated_after_the_retention_returns_what_is_left_of_the_job(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    job = await _emptied(jobs, sql, priority=3)
    assert (job.spec.queue, job.spec.priority, job.owner.user_id) == ("q", 3, "ann")
    assert job.status.state == job_pb2.JOB_STATE_FAILED
    assert job.status.end_time.ToNanoseconds() < job.purge_time.ToNanoseconds()
    assert not job.status.HasField("error")
    assert not job.spec.labels
    assert not await sql.fetchval("SELECT input FROM job")


@pytest.mark.parametrize(
    "call",
    [
        lambda jobs, job_id: jobs.GetJob(pb.GetJobRequest(job_id=job_id), metadata=_ANN),
        lambda jobs, job_id: jobs.WaitJob(pb.WaitJobRequest(job_id=job_id), metadata=_ANN),
        lambda jobs, job_id: jobs.StreamJobStatus(
            pb.StreamJobStatusRequest(job_ids=[job_id]), metadata=_ANN
        ).read(),
    ],
    ids=["GetJob", "WaitJob", "StreamJobStatus"],
)
async def test_reader_does_not_find_a_job_after_its_retention(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection, call: Any
) -> None:
    job = await _emptied(jobs, sql)
    found = await refused(call(jobs, job.id))
    assert found.what == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


async def test_request_id_is_fenced_after_the_retention_too(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection, tables: Tables
) -> None:
    await _emptied(jobs, sql)
    before = await tables()
    other = _request(_EMPTIED, input=Payload(json_text='{"a": 2}'), labels={"a": "1"})
    assert (await refused(jobs.CreateJob(other, metadata=_ANN))).what == _REUSED
    bob = await refused(jobs.CreateJob(other, metadata=(("x-user-id", "bob"),)))
    assert bob.what == (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
    assert await tables() == before


@pytest.mark.parametrize("unique_key", ["", "k"])
async def test_batch_finds_a_job_after_its_retention(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection, unique_key: str
) -> None:
    job = await _emptied(jobs, sql, unique_key=unique_key)
    again = _request(
        _EMPTIED,
        input=Payload(json_text='{"a": 1}'),
        labels={"a": "1"},
        unique_key=unique_key,
    )
    batch = pb.BatchCreateJobsRequest(requests=[_request(str(uuid4())), again])
    new, old = (await jobs.BatchCreateJobs(batch, metadata=_ANN)).responses
    assert (new.existing, old.existing) == (False, True)
    assert old.job == job
