"""UpdateJob: what the mask names changes, while the job waits."""

from typing import Any

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload, PayloadSchema
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, failure, lease_all, lease_one, report
from tests.api.support.worker_stream import work
from tests.support.probe import eventually


def _in(seconds: int) -> Timestamp:
    time = Timestamp()
    time.GetCurrentTime()
    time.seconds += seconds
    return time


def _request(job_id: str, *paths: str, etag: str = "", **spec: Any) -> pb.UpdateJobRequest:
    mask = FieldMask(paths=paths) if paths else None
    return pb.UpdateJobRequest(
        job_id=job_id, spec=job_pb2.JobSpec(**spec), update_mask=mask, etag=etag
    )


async def _update(jobs: JobServiceStub, job_id: str, *paths: str, **spec: Any) -> job_pb2.Job:
    return (await jobs.UpdateJob(_request(job_id, *paths, **spec))).job


async def _input(jobs: JobServiceStub, job_id: str) -> str:
    request = pb.GetJobRequest(job_id=job_id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    return (await jobs.GetJob(request)).job.spec.input.json_text


async def test_masked_fields_change_and_no_others(jobs: JobServiceStub, create: Create) -> None:
    job = await create(labels={"a": "1"}, priority=3, input=Payload(json_text='{"n":1}'))
    later, end = _in(60), _in(120)
    changed = await _update(
        jobs,
        job.id,
        "schedule_time",
        "expire_time",
        schedule_time=later,
        expire_time=end,
        priority=9,
        labels={"b": "2"},
    )
    assert (changed.spec.schedule_time, changed.spec.expire_time) == (later, end)
    assert (changed.spec.priority, dict(changed.spec.labels)) == (3, {"a": "1"})
    assert changed.status.version > job.status.version
    assert changed.etag != job.etag
    assert not changed.spec.HasField("input"), "the BASIC view"
    changed = await _update(jobs, job.id, "labels", "priority", labels={"b": "2"}, priority=9)
    assert (changed.spec.priority, dict(changed.spec.labels)) == (9, {"b": "2"})
    assert changed.spec.schedule_time == later
    assert await _input(jobs, job.id) == '{"n":1}'


async def test_masked_field_that_is_unset_is_cleared(jobs: JobServiceStub, create: Create) -> None:
    job = await create(
        labels={"a": "1"},
        priority=3,
        schedule_time=_in(60),
        expire_time=_in(120),
        input=Payload(json_text='{"n":1}'),
    )
    changed = (await _update(jobs, job.id, "*")).spec
    assert not changed.labels
    assert not changed.priority
    assert not changed.HasField("schedule_time")
    assert not changed.HasField("expire_time")
    assert await _input(jobs, job.id) == "{}"


async def test_without_a_mask_the_fields_that_are_set_change(
    jobs: JobServiceStub, create: Create
) -> None:
    job = await create(labels={"a": "1"}, priority=3)
    changed = (await _update(jobs, job.id, queue="other", labels={"b": "2"})).spec
    assert (changed.queue, changed.priority, dict(changed.labels)) == ("q", 3, {"b": "2"})


async def test_priority_decides_who_leaves_the_queue_first(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    first, second = await create(), await create()
    await _update(jobs, second.id, "priority", priority=1)
    assert [lease.job_id for lease in await lease_all(workers)] == [second.id, first.id]


async def test_job_that_is_ready_keeps_its_position(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    first, second = await create(), await create()
    await _update(jobs, first.id, "schedule_time")
    assert [lease.job_id for lease in await lease_all(workers)] == [first.id, second.id]


async def test_worker_gets_a_job_at_once_that_is_scheduled_for_now(
    channel: aio.Channel, jobs: JobServiceStub, create: Create
) -> None:
    job = await create(schedule_time=_in(3600), input=Payload(json_text='{"n":1}'))
    async with work(channel) as stream:
        await _update(jobs, job.id, "schedule_time", "input", input=Payload(json_text='{"n":2}'))
        (lease,) = await stream.dispatched()
        assert lease.job_id == job.id
        assert lease.input.json["n"] == 2


async def test_schedule_moves_the_next_attempt_of_a_job_that_is_retried(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create
) -> None:
    job = await create()
    assert await report(workers, failure(await lease_one(workers), retry_delay=3600)) == [OK]
    await _update(jobs, job.id, "schedule_time")
    assert (await lease_one(workers)).attempt == 2


async def test_time_to_start_counts_from_the_new_schedule(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    job = await create(start_within=Duration(seconds=10))
    await _update(jobs, job.id, "schedule_time", schedule_time=_in(100))
    left = await sql.fetchval("SELECT start_deadline - clock_timestamp() FROM waiting")
    assert 105 < left.total_seconds() <= 111


async def test_new_expiry_counts(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    job = await create()
    await _update(jobs, job.id, "expire_time", expire_time=_in(60))
    await sql.execute("UPDATE waiting SET expire_time = expire_time - interval '60 s'")
    ended = await eventually(
        lambda: jobs.GetJob(pb.GetJobRequest(job_id=job.id)),
        lambda answer: answer.job.status.HasField("end_time"),
    )
    assert ended.job.status.error.reason == "JOB_EXPIRED"


async def test_input_must_fit_the_schema_of_the_queue(
    jobs: JobServiceStub, create: Create, declare: Any, tables: Tables
) -> None:
    job = await create(input=Payload(json_text='{"n":1}'))
    text = '{"properties": {"n": {"type": "integer"}}}'
    await declare(input_schema=PayloadSchema(json_schema_text=text))
    before = await tables()
    bad = _request(job.id, "input", input=Payload(json_text='{"n":"x"}'))
    refusal = await refused(jobs.UpdateJob(bad))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_REJECTED")
    assert refusal.fields == ["spec.input.n"]
    assert await tables() == before
    await _update(jobs, job.id, "input", input=Payload(json_text='{"n":2}'))
    assert await _input(jobs, job.id) == '{"n":2}'


async def test_input_that_is_too_large_is_refused(
    jobs: JobServiceStub, create: Create, tables: Tables
) -> None:
    job = await create()
    before = await tables()
    large = Payload(json_text='{"t":"' + "x" * (256 * 1024) + '"}')
    refusal = await refused(jobs.UpdateJob(_request(job.id, "input", input=large)))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "PAYLOAD_TOO_LARGE")
    fits = Payload(json_text='{"t":"' + "x" * (200 * 1024) + '"}')
    assert await tables() == before
    await _update(jobs, job.id, "input", input=fits)
    assert await _input(jobs, job.id) == fits.json_text


async def test_every_wrong_path_is_named(jobs: JobServiceStub, create: Create) -> None:
    job = await create()
    request = _request(
        job.id,
        "queue",
        "retry_policy.max_attempts",
        "priority",
        "labels",
        priority=101,
        labels={"A": "1"},
    )
    refusal = await refused(jobs.UpdateJob(request))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == ["update_mask", "update_mask", "spec.priority", "spec.labels['A']"]
    said = [v.description for v in refusal.details["BadRequest"].field_violations]
    assert "'queue'" in said[0]
    assert "'retry_policy.max_attempts'" in said[1]


async def test_change_of_nothing_is_refused(jobs: JobServiceStub, create: Create) -> None:
    refusal = await refused(jobs.UpdateJob(_request((await create()).id, queue="q")))
    assert refusal.fields == ["update_mask"]


@pytest.mark.parametrize("path", ["expire_time", "schedule_time"])
async def test_job_that_could_never_begin_is_refused(
    jobs: JobServiceStub, create: Create, tables: Tables, path: str
) -> None:
    job = await create(schedule_time=_in(60), expire_time=_in(120))
    before = await tables()
    time = {"expire_time": _in(30), "schedule_time": _in(180)}[path]
    refusal = await refused(jobs.UpdateJob(_request(job.id, path, **{path: time})))
    assert refusal.fields == [f"spec.{path}"]
    assert await tables() == before


async def test_running_job_is_left_alone(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, tables: Tables
) -> None:
    job = await create()
    await lease_one(workers)
    before = await tables()
    refusal = await refused(jobs.UpdateJob(_request(job.id, "priority", priority=1)))
    assert refusal.what == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE_CONFLICT")
    assert refusal.metadata["state"] == "PROCESSING"
    assert await tables() == before


async def test_etag_of_another_version_is_refused(
    jobs: JobServiceStub, create: Create, tables: Tables
) -> None:
    job = await create()
    changed = await _update(jobs, job.id, "priority", priority=1, etag=job.etag)
    before = await tables()
    request = _request(job.id, "priority", priority=2, etag=job.etag)
    refusal = await refused(jobs.UpdateJob(request))
    assert refusal.what == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert refusal.metadata == {"jobId": job.id, "etag": changed.etag}
    assert await tables() == before
