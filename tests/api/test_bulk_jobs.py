"""BulkJobs and the calls about its operations, through a real channel."""

from typing import Any

import asyncpg

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.worker_stream import create_many

PENDING, PROCESSING = job_pb2.JOB_STATE_PENDING, job_pb2.JOB_STATE_PROCESSING
CANCELLED, FAILED = job_pb2.JOB_STATE_CANCELLED, job_pb2.JOB_STATE_FAILED
RUNNING, COMPLETED = pb.BULK_OPERATION_STATE_RUNNING, pb.BULK_OPERATION_STATE_COMPLETED


async def bulk(jobs: JobServiceStub, metadata: Any = (), **fields: Any) -> pb.BulkOperation:
    request = pb.BulkJobsRequest(**({"filter": pb.JobFilter()} | fields))
    return (await jobs.BulkJobs(request, metadata=metadata)).operation


async def ended(
    jobs: JobServiceStub, operation: pb.BulkOperation, metadata: Any = ()
) -> pb.BulkOperation:
    while operation.state == RUNNING:
        request = pb.WaitBulkOperationRequest(operation_id=operation.id)
        operation = (await jobs.WaitBulkOperation(request, metadata=metadata)).operation
    return operation


async def test_waiting_jobs_are_cancelled(
    jobs: JobServiceStub, queue: str, sql: asyncpg.Connection
) -> None:
    for _ in range(3):
        await create_many(jobs, 900)
    operation = await ended(jobs, await bulk(jobs, cancel=pb.BulkCancel(reason="why")))
    print(operation)
    assert (operation.state, operation.done_count) == (COMPLETED, 2700)
    assert operation.skipped_count == 0
    assert await sql.fetchval("SELECT count(*) FROM result WHERE cancel_reason = 'why'") == 2700
    again = await ended(jobs, await bulk(jobs, retry=pb.BulkRetry()))
    print(again)
    assert again.done_count == 2700
    gone = await ended(jobs, await bulk(jobs, cancel=pb.BulkCancel()))
    gone = await ended(jobs, await bulk(jobs, delete=pb.BulkDelete(), most=700))
    assert gone.done_count == 700
    assert await sql.fetchval("SELECT count(*) FROM result") == 2000
