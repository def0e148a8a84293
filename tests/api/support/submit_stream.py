"""One `Submit` stream, moved by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import grpc
from google.rpc import status_pb2
from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.refusal import details_of
from tests.support.stream_write import write


def job(tag: int, follow: bool = False, request_id: str = "", **spec: Any) -> pb.SubmitJob:
    """A job that breaks no rule, unless `spec` does."""
    return pb.SubmitJob(
        tag=tag,
        follow=follow,
        request=pb.CreateJobRequest(
            spec=job_pb2.JobSpec(**({"queue": "q"} | spec)), request_id=request_id or str(uuid4())
        ),
    )


def reason(error: status_pb2.Status) -> str:
    """The reason in the details of an error."""
    info: Any = details_of(error)["ErrorInfo"]
    return str(info.reason)


class SubmitStream:
    """Writes requests, and keeps what has come."""

    def __init__(self, call: aio.StreamStreamCall) -> None:
        self.call = call
        self.results: dict[int, pb.SubmitResult] = {}
        self.updates: list[pb.JobUpdate] = []
        self.failures: dict[str, status_pb2.Status] = {}
        self.drain = ""

    async def send(self, *jobs: pb.SubmitJob, **fields: Any) -> None:
        await write(self.call, pb.SubmitRequest(jobs=jobs, **fields))

    async def read(self) -> pb.SubmitResponse:
        """Reads a response; it must be there."""
        response = await self.call.read()
        assert response is not aio.EOF
        for result in response.results:
            assert result.tag not in self.results, "a result comes once"
            self.results[result.tag] = result
        self.updates += response.updates
        self.failures |= {f.job_id: f.error for f in response.follow_failures}
        self.drain += response.drain.reason
        return response

    async def created(self, *jobs: pb.SubmitJob) -> list[pb.SubmitResult]:
        """Sends jobs in one request; their results."""
        await self.send(*jobs)
        tags = [each.tag for each in jobs]
        while not set(tags) <= set(self.results):
            await self.read()
        return [self.results[tag] for tag in tags]

    async def update(self) -> pb.JobUpdate:
        """The next update."""
        while not self.updates:
            await self.read()
        return self.updates.pop(0)

    async def failure(self, job_id: str) -> str:
        """The reason why a job is not followed."""
        while job_id not in self.failures:
            await self.read()
        return reason(self.failures[job_id])

    async def leave(self) -> None:
        """Half-closes; the stream must end with OK."""
        await self.call.done_writing()
        while await self.call.read() is not aio.EOF:
            pass
        assert await self.call.code() == grpc.StatusCode.OK


@asynccontextmanager
async def submit(jobs: JobServiceStub, **fields: Any) -> AsyncIterator[SubmitStream]:
    """A stream that has begun; given up at the end of the block."""
    call = jobs.Submit(**fields)
    try:
        stream = SubmitStream(call)
        await stream.send()
        assert (await stream.read()).HasField("limits")
        yield stream
    finally:
        call.cancel()


def narrow_channel(server: Replica) -> aio.Channel:
    """A channel that holds little of what is not read."""
    options = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_536)]
    return aio.insecure_channel(f"127.0.0.1:{server.port}", options=options)
