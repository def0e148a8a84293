"""DeleteJob: a job that has ended is gone, and its request id is remembered."""

from uuid import uuid4

import asyncpg
import grpc

from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import OK, failure, lease_one, report, success

_NOT_FOUND = (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")


async def _delete(jobs: JobServiceStub, job_id: str, etag: str = "") -> None:
    await jobs.DeleteJob(pb.DeleteJobRequest(job_id=job_id, etag=etag))


async def test_nothing_of_the_job_stays(
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    create: Create,
    sql: asyncpg.Connection,
) -> None:
    job = await create()
    assert await report(workers, failure(await lease_one(workers), retry_delay=0)) == [OK]
    assert await report(workers, success(await lease_one(workers))) == [OK]
    await _delete(jobs, job.id)
    for table in ("job", "result", "attempt", "waiting", "lease"):
        assert await sql.fetchval(f"SELECT count(*) FROM {table}") == 0, table
    assert (await refused(jobs.GetJob(pb.GetJobRequest(job_id=job.id)))).what == _NOT_FOUND
    assert (await refused(jobs.DeleteJob(pb.DeleteJobRequest(job_id=job.id)))).what == _NOT_FOUND


async def test_repeated_creation_finds_the_deleted_job_and_makes_no_second_one(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    request_id = str(uuid4())
    job = await create(request_id=request_id, labels={"a": "1"}, unique_key="k")
    await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id, reason="secret"))
    await _delete(jobs, job.id)
    for call in (
        jobs.GetJob(pb.GetJobRequest(job_id=job.id)),
        jobs.RetryJob(pb.RetryJobRequest(job_id=job.id)),
        jobs.DeleteJob(pb.DeleteJobRequest(job_id=job.id)),
    ):
        assert (await refused(call)).what == _NOT_FOUND
    again = await create(request_id=request_id, labels={"a": "1"}, unique_key="k")
    assert again.id == job.id
    assert not again.spec.labels
    assert not again.status.cancel_reason
    assert again.purge_time.ToNanoseconds() > 0
    assert await sql.fetchval("SELECT count(*) FROM job") == 1


async def test_request_id_whose_time_is_over_is_not_remembered(
    jobs: JobServiceStub, create: Create, sql: asyncpg.Connection
) -> None:
    job = await create(request_id=str(uuid4()))
    await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id))
    await sql.execute("UPDATE result SET end_time = end_time - interval '25 hours'")
    await _delete(jobs, job.id)
    assert await sql.fetchval("SELECT count(*) FROM job") == 0


async def test_job_that_has_not_ended_is_left_alone(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, tables: Tables
) -> None:
    job = await create()
    for state in ("PENDING", "PROCESSING"):
        before = await tables()
        refusal = await refused(jobs.DeleteJob(pb.DeleteJobRequest(job_id=job.id)))
        assert refusal.what == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE_CONFLICT")
        assert refusal.metadata == {"jobId": job.id, "state": state}
        assert await tables() == before
        if state == "PENDING":
            await lease_one(workers)


async def test_etag_of_another_version_is_refused(
    jobs: JobServiceStub, create: Create, tables: Tables
) -> None:
    job = await create()
    ended = (await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id))).job
    before = await tables()
    stale = pb.DeleteJobRequest(job_id=job.id, etag=job.etag)
    refusal = await refused(jobs.DeleteJob(stale))
    assert refusal.what == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await tables() == before
    await _delete(jobs, job.id, ended.etag)


async def test_malformed_id_is_refused(jobs: JobServiceStub) -> None:
    refusal = await refused(jobs.DeleteJob(pb.DeleteJobRequest(job_id="x")))
    assert refusal.fields == ["job_id"]


async def test_wait_for_a_deleted_job_ends_with_not_found(
    jobs: JobServiceStub, create: Create
) -> None:
    job = await create()
    ended = (await jobs.CancelJob(pb.CancelJobRequest(job_id=job.id))).job
    await _delete(jobs, job.id)
    request = pb.WaitJobRequest(job_id=job.id, after_version=ended.status.version)
    assert (await refused(jobs.WaitJob(request))).what == _NOT_FOUND
