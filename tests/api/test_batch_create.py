"""BatchCreateJobs: all jobs in one transaction, or none."""

import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import Payload, PayloadSchema
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_FAIL = job_pb2.UNIQUE_CONFLICT_POLICY_FAIL


def _item(request_id: str = "", **spec: Any) -> pb.CreateJobRequest:
    return pb.CreateJobRequest(
        spec=job_pb2.JobSpec(**({"queue": "q"} | spec)), request_id=request_id
    )


def _batch(jobs: JobServiceStub, *items: pb.CreateJobRequest) -> Awaitable[Any]:
    return jobs.BatchCreateJobs(pb.BatchCreateJobsRequest(requests=items))


async def test_answers_come_in_the_order_of_the_requests(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    answer = await _batch(jobs, *(_item(priority=n) for n in range(20)))
    assert [r.job.spec.priority for r in answer.responses] == list(range(20))
    assert not any(r.existing for r in answer.responses)
    ids = [r.job.id for r in answer.responses]
    rows = await sql.fetch("SELECT job_id::text FROM waiting ORDER BY rank DESC")
    assert [row["job_id"] for row in rows] == ids


_TOMORROW = Timestamp(seconds=int(time.time()) + 86_400)


@pytest.mark.parametrize("odd", range(5))
@pytest.mark.parametrize(
    "difference",
    [
        {"priority": 7},
        {"labels": {"a": "b"}},
        {"unique_key": "k"},
        {"schedule_time": _TOMORROW},
        {"expire_time": _TOMORROW},
        {"ttl": Duration(seconds=60)},
        {"retention": Duration(seconds=90)},
        {"attempt_timeout": Duration(seconds=90)},
        {"retry_policy": job_pb2.RetryPolicy(max_attempts=9)},
        {"input": Payload(json_text='{"a": 1}')},
    ],
)
async def test_each_answer_tells_of_its_own_job(
    jobs: JobServiceStub, queue: str, difference: dict[str, Any], odd: int
) -> None:
    answer = await _batch(jobs, *(_item(**(difference if n == odd else {})) for n in range(5)))
    for response in answer.responses:
        read = await jobs.GetJob(
            pb.GetJobRequest(job_id=response.job.id, view=job_pb2.JOB_VIEW_BASIC)
        )
        read.job.status.ClearField("wait_reason")
        assert response.job == read.job


async def test_1000_jobs_are_created_at_once(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    answer = await _batch(jobs, *[_item()] * 1000)
    assert len({r.job.id for r in answer.responses}) == 1000
    assert await sql.fetchval("SELECT count(*) FROM waiting") == 1000


async def test_answer_that_would_be_too_large_is_shortened(
    jobs: JobServiceStub, queue: str
) -> None:
    labels = {f"label-{n}": "x" * 116 for n in range(32)}
    answer = await _batch(jobs, *[_item(labels=labels)] * 1000)
    assert answer.ByteSize() < 4 * 1024 * 1024
    assert len({r.job.id for r in answer.responses}) == 1000
    assert {r.job.status.state for r in answer.responses} == {job_pb2.JOB_STATE_PENDING}
    assert {(r.job.spec.queue, len(r.job.spec.labels)) for r in answer.responses} == {("q", 0)}


@pytest.mark.parametrize("count", [0, 1001])
async def test_wrong_number_of_jobs_is_refused(
    jobs: JobServiceStub, queue: str, tables: Tables, count: int
) -> None:
    before = await tables()
    refusal = await refused(_batch(jobs, *[_item()] * count))
    assert refusal.what == (_INVALID, "INVALID_REQUEST")
    assert refusal.fields == ["requests"]
    assert await tables() == before


_BAD_ITEMS = [
    (_item(queue="Q"), _INVALID, "INVALID_REQUEST", "requests[2].spec.queue"),
    (_item(request_id="x"), _INVALID, "INVALID_REQUEST", "requests[2].request_id"),
    (pb.CreateJobRequest(), _INVALID, "INVALID_REQUEST", "requests[2].spec"),
    (
        _item(input=Payload(json_text="[]")),
        _INVALID,
        "PAYLOAD_REJECTED",
        "requests[2].spec.input.json_text",
    ),
    (
        _item(input=Payload(json_text='{"a": "' + "x" * 262_144 + '"}')),
        _INVALID,
        "PAYLOAD_TOO_LARGE",
        "requests[2].spec.input",
    ),
    (
        _item(queue="strict", input=Payload(json_text='{"a": [0]}')),
        _INVALID,
        "PAYLOAD_REJECTED",
        "requests[2].spec.input.a[0]",
    ),
]


@pytest.mark.parametrize(
    ("bad", "code", "reason", "path"), _BAD_ITEMS, ids=[item[3] for item in _BAD_ITEMS]
)
async def test_one_bad_request_undoes_all(
    jobs: JobServiceStub,
    declare: Callable[..., Awaitable[Any]],
    queue: str,
    tables: Tables,
    bad: pb.CreateJobRequest,
    code: grpc.StatusCode,
    reason: str,
    path: str,
) -> None:
    schema = PayloadSchema()
    schema.json_schema.update({"properties": {"a": {"items": {"type": "string"}}}})
    await declare("strict", input_schema=schema)
    before = await tables()
    refusal = await refused(_batch(jobs, _item(), _item(), bad, _item()))
    assert refusal.what == (code, reason)
    assert refusal.metadata == {"index": "2"}
    assert refusal.fields == [path]
    assert await tables() == before


async def test_row_that_the_database_refuses_undoes_all(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection, tables: Tables
) -> None:
    await sql.execute("ALTER TABLE job ADD CHECK (priority <> 13)")
    before = await tables()
    refusal = await refused(_batch(jobs, _item(), _item(priority=13), _item()))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert await tables() == before


async def test_unknown_queue_undoes_all(jobs: JobServiceStub, queue: str, tables: Tables) -> None:
    before = await tables()
    refusal = await refused(_batch(jobs, _item(), _item(queue="nowhere")))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND")
    assert refusal.metadata["index"] == "1"
    assert await tables() == before


async def test_somebody_elses_job_undoes_all(
    create: Create, jobs: JobServiceStub, tables: Tables
) -> None:
    request_id = str(uuid4())
    await create(unique_key="k", request_id=request_id, metadata=(("x-user-id", "ann"),))
    before = await tables()
    for bad in (_item(unique_key="k"), _item(request_id)):
        refusal = await refused(_batch(jobs, _item(), bad))
        assert refusal.what == (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
        assert refusal.metadata["index"] == "1"
    assert await tables() == before


async def test_taken_key_undoes_all(create: Create, jobs: JobServiceStub, tables: Tables) -> None:
    holder = await create(unique_key="k")
    before = await tables()
    bad = _item(unique_key="k", unique_conflict_policy=_FAIL)
    refusal = await refused(_batch(jobs, _item(), bad))
    assert refusal.what == (grpc.StatusCode.ALREADY_EXISTS, "UNIQUE_KEY_TAKEN")
    assert refusal.metadata == {"index": "1", "jobId": holder.id}
    assert await tables() == before


async def test_reused_request_id_undoes_all(
    create: Create, jobs: JobServiceStub, tables: Tables
) -> None:
    request_id = str(uuid4())
    await create(request_id=request_id)
    before = await tables()
    refusal = await refused(_batch(jobs, _item(), _item(request_id, priority=1)))
    assert refusal.what == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert refusal.metadata == {"index": "1", "requestId": request_id}
    assert await tables() == before


async def test_repeated_batch_returns_the_same_jobs(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    items = [_item(str(uuid4()), unique_key=f"k{n}") for n in range(10)]
    first = await _batch(jobs, *items)
    before = await tables()
    second = await _batch(jobs, *items)
    assert all(r.existing for r in second.responses)
    assert [r.job for r in second.responses] == [r.job for r in first.responses]
    assert await tables() == before


async def test_same_request_id_twice_in_a_batch_is_one_job(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    item = _item(str(uuid4()), unique_key="k", unique_conflict_policy=_FAIL)
    answer = await _batch(jobs, item, item)
    first, second = answer.responses
    assert (first.existing, second.existing) == (False, True)
    assert first.job.id == second.job.id
    assert await sql.fetchval("SELECT count(*) FROM job") == 1


async def test_request_id_reused_within_a_batch_undoes_all(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    before = await tables()
    request_id = str(uuid4())
    refusal = await refused(_batch(jobs, _item(request_id), _item(request_id, priority=1)))
    assert refusal.what == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert refusal.metadata["index"] == "1"
    assert await tables() == before


@pytest.mark.parametrize("with_ids", [False, True])
async def test_same_unique_key_twice_in_a_batch_is_one_job(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection, with_ids: bool
) -> None:
    ids = [str(uuid4()) if with_ids else "" for _ in range(2)]
    answer = await _batch(jobs, *(_item(i, unique_key="k") for i in ids))
    first, second = answer.responses
    assert (first.existing, second.existing) == (False, True)
    assert first.job.id == second.job.id
    assert await sql.fetchval("SELECT count(*) FROM job") == 1


async def test_same_unique_key_twice_in_a_batch_fails_where_asked(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    before = await tables()
    items = [_item(unique_key="k", unique_conflict_policy=_FAIL)] * 2
    refusal = await refused(_batch(jobs, *items))
    assert refusal.what == (grpc.StatusCode.ALREADY_EXISTS, "UNIQUE_KEY_TAKEN")
    assert refusal.metadata["index"] == "1"
    assert await tables() == before


async def test_validation_of_a_batch_writes_nothing(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    before = await tables()
    checked = [pb.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"), validate_only=True)] * 3
    answer = await _batch(jobs, *checked)
    assert [r.job.id for r in answer.responses] == [""] * 3
    refusal = await refused(_batch(jobs, checked[0], _item()))
    assert refusal.fields == ["requests"]
    assert await tables() == before


async def test_batch_beyond_the_largest_message_is_refused(
    jobs: JobServiceStub, queue: str, tables: Tables
) -> None:
    before = await tables()
    large = _item(input=Payload(json_text='{"a": "' + "x" * 250_000 + '"}'))
    with pytest.raises(aio.AioRpcError) as caught:
        await _batch(jobs, *[large] * 17)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await tables() == before
