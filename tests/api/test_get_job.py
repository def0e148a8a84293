"""GetJob: which ids it takes, and what its views hold."""

from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON, PAYLOAD_ENCODING_JSON_TEXT, Payload
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.bad_input import BAD_IDS
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import failure, lease_one, report, success
from tests.support.probe import eventually

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
_RETRY = job_pb2.RetryPolicy(max_attempts=20, initial_backoff=Duration())


async def _get(jobs: JobServiceStub, job_id: str, **fields: Any) -> job_pb2.Job:
    return (await jobs.GetJob(pb.GetJobRequest(job_id=job_id, **fields))).job


@pytest.mark.parametrize("method", ["GetJob", "WaitJob"])
@pytest.mark.parametrize("job_id", BAD_IDS.values(), ids=BAD_IDS.keys())
async def test_malformed_id_is_refused(
    jobs: JobServiceStub, tables: Tables, method: str, job_id: str
) -> None:
    before = await tables()
    request = getattr(pb, f"{method}Request")(job_id=job_id)
    refusal = await refused(getattr(jobs, method)(request))
    assert (refusal.what, refusal.fields) == (_INVALID, ["job_id"])
    assert await tables() == before


@pytest.mark.parametrize("method", ["GetJob", "WaitJob"])
@pytest.mark.parametrize("field", ["view", "payload_encoding"])
async def test_unknown_enum_value_is_refused(
    jobs: JobServiceStub, create: Create, method: str, field: str
) -> None:
    request = getattr(pb, f"{method}Request")(job_id=(await create()).id, **{field: 77})
    refusal = await refused(getattr(jobs, method)(request))
    assert (refusal.what, refusal.fields) == (_INVALID, [field])


@pytest.mark.parametrize("method", ["GetJob", "WaitJob"])
async def test_unknown_job_is_not_found(jobs: JobServiceStub, method: str) -> None:
    job_id = str(uuid4())
    refusal = await refused(getattr(jobs, method)(getattr(pb, f"{method}Request")(job_id=job_id)))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    assert refusal.metadata == {"jobId": job_id}
    resource = refusal.details["ResourceInfo"]
    assert (resource.resource_type, resource.resource_name) == ("jobsvc.v1.Job", job_id)


async def test_purged_job_is_not_found(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    job = await create()
    assert await report(workers, success(await lease_one(workers))) == [("OK", "")]
    assert (await _get(jobs, job.id)).HasField("purge_time")
    await sql.execute("UPDATE result SET purge_time = now() - interval '1 second'")
    await eventually(lambda: sql.fetchval("SELECT count(*) FROM job"), lambda left: not left)
    refusal = await refused(jobs.GetJob(pb.GetJobRequest(job_id=job.id)))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


async def test_full_view_is_the_default_and_holds_everything(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    job = await create(input=Payload(json_text='{"i": 1}'), retry_policy=_RETRY)
    error = {"reason": "NO_LUCK", "message": "m", "metadata": {"k": "v"}, "stack_trace": "trace"}
    await report(workers, failure(await lease_one(workers), **error))
    await report(workers, success(await lease_one(workers), '{"o": [1, 2.5]}'))
    full = await _get(jobs, job.id)
    assert full == await _get(jobs, job.id, view=job_pb2.JOB_VIEW_FULL)
    assert full.spec.input.json["i"] == 1
    assert list(full.status.output.json["o"]) == [1, 2.5]
    newest, oldest = full.status.recent_attempts
    assert (newest.attempt, newest.HasField("error")) == (2, False)
    assert newest.end_time == full.status.end_time
    assert (oldest.attempt, oldest.worker_id) == (1, "w1")
    assert oldest.error == job_pb2.JobError(code=code_pb2.UNAVAILABLE, **error)


async def test_basic_view_leaves_out_payloads_stack_traces_and_attempts(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    job = await create(input=Payload(json_text='{"i": 1}'), retry_policy=_RETRY)
    await report(workers, failure(await lease_one(workers), stack_trace="trace", message="m"))
    waiting = await _get(jobs, job.id, view=job_pb2.JOB_VIEW_BASIC)
    assert (waiting.status.error.message, waiting.status.error.stack_trace) == ("m", "")
    await report(workers, success(await lease_one(workers), '{"o": 1}'))
    basic = await _get(jobs, job.id, view=job_pb2.JOB_VIEW_BASIC)
    full = await _get(jobs, job.id)
    full.spec.ClearField("input")
    full.status.ClearField("output")
    full.status.ClearField("recent_attempts")
    assert basic == full


async def test_payloads_come_in_the_spelling_asked_for(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    job = await create(input=Payload(json_text='{"i": 12345678901234567890}'))
    await report(workers, success(await lease_one(workers), '{"o": {}}'))
    for encoding in (0, PAYLOAD_ENCODING_JSON):
        read = await _get(jobs, job.id, payload_encoding=encoding)
        assert read.spec.input.json["i"] == 12345678901234567890.0
        assert read.status.output.WhichOneof("encoding") == "json"
    read = await _get(jobs, job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    assert read.spec.input.json_text == '{"i": 12345678901234567890}'
    assert read.status.output.json_text == '{"o": {}}'


async def test_empty_payloads_are_objects_as_text(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    job = await create(input=Payload(json_text="{}"))
    await report(workers, success(await lease_one(workers)))
    read = await _get(jobs, job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    assert read.spec.input.json_text == "{}"
    assert read.status.output.json_text == "{}"


async def test_last_ten_attempts_come_newest_first(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    job = await create(retry_policy=_RETRY)
    for _ in range(12):
        await report(workers, failure(await lease_one(workers)))
    waiting = (await _get(jobs, job.id)).status
    assert [a.attempt for a in waiting.recent_attempts] == list(range(12, 2, -1))
    await lease_one(workers)
    running = (await _get(jobs, job.id)).status
    assert [a.attempt for a in running.recent_attempts] == list(range(13, 3, -1))
    assert not running.recent_attempts[0].HasField("end_time")


async def test_running_job_shows_its_lease_and_progress(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    job = await create()
    await lease_one(workers)
    read = await _get(jobs, job.id)
    assert read.status.state == job_pb2.JOB_STATE_PROCESSING
    assert (read.status.attempt, read.status.worker_id) == (1, "w1")
    runs = read.status.lease_expire_time.ToDatetime() - read.status.start_time.ToDatetime()
    assert runs.total_seconds() == 30
    assert not read.status.HasField("progress")
    assert not read.HasField("purge_time")


async def test_etag_changes_with_the_job(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    created = await create()
    assert (await _get(jobs, created.id)).etag == created.etag
    await lease_one(workers)
    assert (await _get(jobs, created.id)).etag != created.etag
