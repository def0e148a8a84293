"""Starts bulk operations, and waits for their ends."""

from typing import Any

from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

RUNNING = pb.BULK_OPERATION_STATE_RUNNING
COMPLETED = pb.BULK_OPERATION_STATE_COMPLETED
STOPPED = pb.BULK_OPERATION_STATE_STOPPED


async def bulk(jobs: JobServiceStub, metadata: Any = (), **fields: Any) -> pb.BulkJobsResponse:
    """Starts an operation, over all jobs unless `filter` is given."""
    request = pb.BulkJobsRequest(**({"filter": pb.JobFilter()} | fields))
    return await jobs.BulkJobs(request, metadata=metadata)


async def wait(
    jobs: JobServiceStub, operation_id: str, metadata: Any = (), **fields: Any
) -> pb.BulkOperation:
    """Waits for an operation once."""
    request = pb.WaitBulkOperationRequest(operation_id=operation_id, **fields)
    return (await jobs.WaitBulkOperation(request, metadata=metadata)).operation


async def until_ended(
    jobs: JobServiceStub, operation: pb.BulkOperation, metadata: Any = ()
) -> pb.BulkOperation:
    """Waits for the end of an operation."""
    while operation.state == RUNNING:
        operation = await wait(jobs, operation.id, metadata)
    return operation


async def bulk_to_the_end(
    jobs: JobServiceStub, metadata: Any = (), **fields: Any
) -> pb.BulkOperation:
    """Starts an operation, and waits for its end."""
    started = (await bulk(jobs, metadata, **fields)).operation
    return await until_ended(jobs, started, metadata)
