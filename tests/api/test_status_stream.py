"""StreamJobStatus: what comes in which order, and what fails the whole call."""

from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.bad_input import BAD_IDS
from tests.api.support.fixtures import Create
from tests.api.support.refusal import refused
from tests.api.support.status_stream import ended, follow, synced, update
from tests.api.support.worker import failure, lease_all, lease_one, report, success

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
_COMPLETED = job_pb2.JOB_STATE_COMPLETED


async def test_jobs_as_they_are_come_first_then_synced_then_changes(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    first, second = await create(), await create()
    call = follow(jobs, second.id, first.id)
    told = [await update(call), await update(call)]
    assert [u.job_id for u in told] == [second.id, first.id]
    assert {(u.queue, u.status.state, u.status.version) for u in told} == {("q", 1, 1)}
    await synced(call)
    lease = await lease_one(workers)
    changed = await update(call)
    assert (changed.job_id, changed.status.state) == (first.id, job_pb2.JOB_STATE_PROCESSING)
    await report(workers, success(lease))
    assert (await update(call)).status.state == _COMPLETED
    call.cancel()


async def test_terminal_update_ends_the_stream_with_ok(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create()
    call = follow(jobs, job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    await update(call)
    await synced(call)
    lease = await lease_one(workers)
    await update(call)
    await report(workers, success(lease, '{"a": 1}'))
    last = await update(call)
    assert (last.status.state, last.status.output.json_text) == (_COMPLETED, '{"a": 1}')
    read = await jobs.GetJob(
        pb.GetJobRequest(job_id=job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    )
    read.job.status.ClearField("recent_attempts")
    assert last.status == read.job.status
    await ended(call)


async def test_ended_job_gives_its_terminal_update_and_ok(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create()
    await report(workers, success(await lease_one(workers)))
    call = follow(jobs, job.id)
    assert (await update(call)).status.state == _COMPLETED
    await synced(call)
    await ended(call)


async def test_stream_ends_when_the_last_job_has_ended(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    created = [await create() for _ in range(3)]
    leases = await lease_all(workers)
    call = follow(jobs, *(job.id for job in created))
    for _ in created:
        await update(call)
    await synced(call)
    for lease in leases:
        await report(workers, success(lease))
        last = await update(call)
        assert (last.job_id, last.status.state) == (lease.job_id, _COMPLETED)
    await ended(call)


async def test_versions_rise(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create(retry_policy=job_pb2.RetryPolicy(max_attempts=5, initial_backoff=Duration()))
    call = follow(jobs, job.id)
    for _ in range(4):
        await report(workers, failure(await lease_one(workers)))
    await report(workers, failure(await lease_one(workers)))
    versions, status = [], None
    while (message := await call.read()) is not aio.EOF:
        if message.HasField("update"):
            status = message.update.status
            versions.append(status.version)
    assert status is not None
    assert status.state == job_pb2.JOB_STATE_FAILED
    assert versions == sorted(set(versions))
    assert versions[-1] == 11


async def test_stream_goes_back_with_the_database_and_tells_the_end(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub, sql: asyncpg.Connection
) -> None:
    """As after a failover to a standby that had less."""
    job = await create()
    await sql.execute("UPDATE waiting SET version = 12")
    call = follow(jobs, job.id)
    assert (await update(call)).status.version == 12
    await synced(call)
    await sql.execute("UPDATE waiting SET version = 1")
    assert (await update(call)).status.version == 1
    # The stream is told of nothing until the job has ended.
    async with sql.transaction():
        await sql.execute("DELETE FROM waiting")
        await sql.execute(
            "INSERT INTO result (job_id, state, attempt, version, worker_id, end_time, purge_time,"
            " progress_message) VALUES ($1, 3, 1, 1, '', now(), 'infinity', '')",
            job.id,
        )
    last = await update(call)
    assert (last.status.state, last.status.version) == (_COMPLETED, 1)
    await ended(call)


async def test_basic_view_leaves_the_output_out(
    create: Create, jobs: JobServiceStub, workers: WorkerServiceStub
) -> None:
    job = await create(input=Payload(json_text='{"i": 1}'))
    await report(workers, success(await lease_one(workers), '{"a": 1}'))
    basic = await update(follow(jobs, job.id, view=job_pb2.JOB_VIEW_BASIC))
    assert not basic.status.HasField("output")
    full = await update(follow(jobs, job.id, view=job_pb2.JOB_VIEW_FULL))
    assert full.status.output.json["a"] == 1


async def test_1000_jobs_are_followed(jobs: JobServiceStub, queue: str) -> None:
    item = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue))
    batch = await jobs.BatchCreateJobs(pb.BatchCreateJobsRequest(requests=[item] * 1000))
    ids = [answer.job.id for answer in batch.responses]
    call = follow(jobs, *ids)
    assert [(await update(call)).job_id for _ in ids] == ids
    await synced(call)
    call.cancel()


async def test_no_and_too_many_jobs_are_refused(jobs: JobServiceStub) -> None:
    for ids in ([], [str(uuid4()) for _ in range(1001)]):
        refusal = await refused(follow(jobs, *ids).read())
        assert (refusal.what, refusal.fields) == (_INVALID, ["job_ids"])


async def test_job_named_twice_is_refused(create: Create, jobs: JobServiceStub) -> None:
    job_id = (await create()).id
    refusal = await refused(follow(jobs, job_id, job_id).read())
    assert (refusal.what, refusal.fields) == (_INVALID, ["job_ids[1]"])


@pytest.mark.parametrize("job_id", BAD_IDS.values(), ids=BAD_IDS.keys())
async def test_malformed_id_is_refused(create: Create, jobs: JobServiceStub, job_id: str) -> None:
    refusal = await refused(follow(jobs, (await create()).id, job_id).read())
    assert (refusal.what, refusal.fields) == (_INVALID, ["job_ids[1]"])


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"view": 77}, "view"),
        ({"payload_encoding": 77}, "payload_encoding"),
        ({"heartbeat_interval": Duration()}, "heartbeat_interval"),
        ({"heartbeat_interval": Duration(seconds=4, nanos=999_999_999)}, "heartbeat_interval"),
        ({"heartbeat_interval": Duration(seconds=301)}, "heartbeat_interval"),
    ],
)
async def test_broken_rule_is_refused_by_its_path(
    create: Create, jobs: JobServiceStub, fields: dict[str, Any], path: str
) -> None:
    refusal = await refused(follow(jobs, (await create()).id, **fields).read())
    assert (refusal.what, refusal.fields) == (_INVALID, [path])


async def test_missing_job_fails_the_call_before_any_update(
    jobs: JobServiceStub, queue: str
) -> None:
    item = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue))
    batch = await jobs.BatchCreateJobs(pb.BatchCreateJobsRequest(requests=[item] * 150))
    missing = str(uuid4())
    refusal = await refused(follow(jobs, *(r.job.id for r in batch.responses), missing).read())
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    assert refusal.metadata == {"jobId": missing}


async def test_somebody_elses_job_fails_the_call_before_any_update(
    create: Create, jobs: JobServiceStub
) -> None:
    own, foreign = await create(), await create(metadata=(("x-user-id", "ann"),))
    refusal = await refused(follow(jobs, own.id, foreign.id).read())
    assert refusal.what == (grpc.StatusCode.PERMISSION_DENIED, "JOB_NOT_OWNED")
    assert refusal.metadata["jobId"] == foreign.id


async def test_job_removed_on_the_way_ends_the_stream(
    create: Create, jobs: JobServiceStub, sql: asyncpg.Connection
) -> None:
    call = follow(jobs, (await create()).id)
    await update(call)
    await synced(call)
    await sql.execute("WITH gone AS (DELETE FROM waiting) DELETE FROM job")
    await ended(call)


async def test_draining_server_ends_the_stream(
    create: Create, jobs: JobServiceStub, server: Replica
) -> None:
    call = follow(jobs, (await create()).id)
    await update(call)
    await synced(call)
    await server.drain()
    refusal = await refused(call.read())
    assert refusal.what == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    assert "RetryInfo" in refusal.details
