"""CancelJob: a waiting job ends at once, a running one by way of its worker."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import asyncpg
import grpc
import pytest
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2, worker_service_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.worker_service_pb2_grpc import WorkerServiceStub
from tests.api.support.fixtures import Create, Status, Tables
from tests.api.support.refusal import refused
from tests.api.support.worker import (
    LOST,
    OK,
    cancelled,
    failure,
    lease_all,
    lease_one,
    release,
    report,
    success,
)
from tests.api.support.worker_stream import work
from tests.support.probe import eventually

_CONFLICT = (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE_CONFLICT")


async def _cancel(
    jobs: JobServiceStub, job_id: str, reason: str = "", etag: str = ""
) -> job_pb2.Job:
    request = pb.CancelJobRequest(job_id=job_id, reason=reason, etag=etag)
    return (await jobs.CancelJob(request)).job


async def test_waiting_job_ends_at_once_and_keeps_why(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, status: Status
) -> None:
    job = await create()
    answer = await _cancel(jobs, job.id, "not needed any more")
    assert answer.status.state == job_pb2.JOB_STATE_CANCELLED
    assert answer.status.cancel_reason == "not needed any more"
    assert answer.status.HasField("cancel_request_time")
    assert answer.status.HasField("end_time")
    assert answer.status.version > job.status.version
    assert answer.etag != job.etag
    assert not answer.spec.HasField("input"), "the BASIC view"
    assert (await status(job.id)).cancel_reason == "not needed any more"
    assert await lease_all(workers) == []


async def test_cancelled_job_frees_its_unique_key(jobs: JobServiceStub, create: Create) -> None:
    first = await create(unique_key="k")
    await _cancel(jobs, first.id)
    assert (await create(unique_key="k")).id != first.id


async def test_job_between_two_attempts_keeps_what_its_last_one_said(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, status: Status
) -> None:
    job = await create()
    lease = await lease_one(workers)
    assert await report(workers, failure(lease, retry_delay=60, reason="BUSY")) == [OK]
    await _cancel(jobs, job.id)
    ended = await status(job.id)
    assert (ended.state, ended.error.reason) == (job_pb2.JOB_STATE_CANCELLED, "BUSY")
    assert [a.error.reason for a in ended.recent_attempts] == ["BUSY"]


async def test_running_job_goes_on_until_its_worker_confirms(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, status: Status
) -> None:
    job = await create()
    lease = await lease_one(workers)
    before = await status(job.id)
    answer = (await _cancel(jobs, job.id, "why")).status
    assert answer.state == job_pb2.JOB_STATE_PROCESSING
    assert answer.HasField("cancel_request_time")
    assert answer.cancel_reason == "why"
    assert answer.version > before.version
    assert await report(workers, cancelled(lease)) == [OK]
    ended = await status(job.id)
    assert (ended.state, ended.cancel_reason) == (job_pb2.JOB_STATE_CANCELLED, "why")
    assert ended.version > answer.version


async def test_success_after_the_request_completes_the_job(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, status: Status
) -> None:
    job = await create()
    lease = await lease_one(workers)
    await _cancel(jobs, job.id)
    assert await report(workers, success(lease)) == [OK]
    assert (await status(job.id)).state == job_pb2.JOB_STATE_COMPLETED
    assert (await refused(jobs.CancelJob(pb.CancelJobRequest(job_id=job.id)))).what == _CONFLICT


@pytest.mark.parametrize("outcome", [failure, release])
async def test_no_other_outcome_after_the_request_sends_the_job_back(
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    create: Create,
    status: Status,
    outcome: Callable[[worker_service_pb2.JobLease], worker_service_pb2.JobOutcome],
) -> None:
    job = await create()
    lease = await lease_one(workers)
    await _cancel(jobs, job.id)
    assert await report(workers, outcome(lease)) == [OK]
    assert (await status(job.id)).state == job_pb2.JOB_STATE_CANCELLED


async def test_cancelling_again_changes_nothing(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, tables: Tables
) -> None:
    waiting = await create()
    ended = await _cancel(jobs, waiting.id, "first")
    await create()
    running = await lease_one(workers)
    requested = await _cancel(jobs, running.job_id, "first")
    before = await tables()
    assert await _cancel(jobs, waiting.id, "second") == ended
    again = await _cancel(jobs, running.job_id, "second")
    assert again == requested
    assert await tables() == before


async def test_job_that_has_ended_otherwise_is_left_alone(
    jobs: JobServiceStub, workers: WorkerServiceStub, create: Create, tables: Tables
) -> None:
    job = await create()
    assert await report(workers, success(await lease_one(workers))) == [OK]
    before = await tables()
    refusal = await refused(jobs.CancelJob(pb.CancelJobRequest(job_id=job.id)))
    assert refusal.what == _CONFLICT
    assert refusal.metadata == {"jobId": job.id, "state": "COMPLETED"}
    (violation,) = refusal.details["PreconditionFailure"].violations
    assert (violation.type, violation.subject) == ("JOB_STATE", job.id)
    assert "COMPLETED" in violation.description
    assert await tables() == before


async def test_wrong_fields_are_named(jobs: JobServiceStub, tables: Tables) -> None:
    before = await tables()
    request = pb.CancelJobRequest(job_id="x", reason="r" * 501, etag="e" * 129)
    refusal = await refused(jobs.CancelJob(request))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refusal.fields == ["job_id", "etag", "reason"]
    assert await tables() == before


async def test_etag_of_another_version_is_refused(
    jobs: JobServiceStub, create: Create, tables: Tables
) -> None:
    job = await create()
    before = await tables()
    refusal = await refused(jobs.CancelJob(pb.CancelJobRequest(job_id=job.id, etag="beef")))
    assert refusal.what == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert await tables() == before
    assert (await _cancel(jobs, job.id, etag=job.etag)).status.HasField("end_time")


async def test_stream_worker_is_told_at_once_and_unasked(
    channel: aio.Channel, jobs: JobServiceStub, create: Create
) -> None:
    job = await create()
    async with work(channel) as stream:
        (lease,) = await stream.dispatched()
        await _cancel(jobs, job.id, "why")
        (told,) = (await stream.frame("lease_statuses")).leases
        assert told.lease_id == lease.lease_id
        assert told.state == worker_service_pb2.LEASE_STATE_CANCEL_REQUESTED
        assert told.reason == "why"
        assert 0 < told.expires_in.seconds <= 30
        assert await stream.report(cancelled(lease)) == [OK]


async def test_worker_of_another_replica_is_told_too(
    channel: aio.Channel,
    jobs: JobServiceStub,
    create: Create,
    start_replica: Callable[[], AbstractAsyncContextManager[Replica]],
) -> None:
    job = await create()
    async with (
        start_replica() as other,
        aio.insecure_channel(f"127.0.0.1:{other.port}") as elsewhere,
        work(elsewhere) as stream,
    ):
        (lease,) = await stream.dispatched()
        await _cancel(jobs, job.id, "why")
        (told,) = (await stream.frame("lease_statuses")).leases
        assert told.lease_id == lease.lease_id
        assert (told.state, told.reason) == (
            worker_service_pb2.LEASE_STATE_CANCEL_REQUESTED,
            "why",
        )


async def test_deaf_worker_loses_its_lease_after_the_grace(
    jobs: JobServiceStub,
    workers: WorkerServiceStub,
    create: Create,
    status: Status,
    sql: asyncpg.Connection,
) -> None:
    job = await create()
    lease = await lease_one(workers)
    await _cancel(jobs, job.id)
    grace = await sql.fetchval("SELECT deadline - cancel_request_time FROM lease")
    assert grace.total_seconds() == pytest.approx(30, abs=0.1)
    await sql.execute(
        "UPDATE lease SET until = until - interval '30 s', deadline = deadline - interval '30 s'"
    )
    # It extends happily, for an hour.
    extension = worker_service_pb2.LeaseExtension(lease_id=lease.lease_id)
    extension.duration.seconds = 3600
    await workers.ExtendLeases(worker_service_pb2.ExtendLeasesRequest(extensions=[extension]))
    ended = await eventually(lambda: status(job.id), lambda s: s.HasField("end_time"))
    assert ended.state == job_pb2.JOB_STATE_CANCELLED
    assert await report(workers, success(lease)) == [LOST]
    assert (await status(job.id)) == ended


async def test_unknown_job_is_not_found(jobs: JobServiceStub) -> None:
    refusal = await refused(jobs.CancelJob(pb.CancelJobRequest(job_id=str(uuid4()))))
    assert refusal.what == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
