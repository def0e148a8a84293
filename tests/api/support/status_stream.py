"""One `StreamJobStatus` call, read message by message."""

from typing import Any

import grpc
from grpc import aio

from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub


def follow(jobs: JobServiceStub, *job_ids: str, **fields: Any) -> aio.UnaryStreamCall:
    return jobs.StreamJobStatus(pb.StreamJobStatusRequest(job_ids=job_ids, **fields))


async def update(call: aio.UnaryStreamCall) -> pb.JobUpdate:
    """The next message, which must be an update."""
    message = await call.read()
    assert message is not aio.EOF
    assert message.WhichOneof("event") == "update", message
    return message.update


async def synced(call: aio.UnaryStreamCall) -> None:
    """Reads the next message, which must say that all jobs have been told."""
    assert (await call.read()).WhichOneof("event") == "synced"


async def ended(call: aio.UnaryStreamCall) -> None:
    """The stream must end here, with OK."""
    assert await call.read() is aio.EOF
    assert await call.code() == grpc.StatusCode.OK
