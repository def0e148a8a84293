"""Callers and workers of the real server."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from grpc import aio

from jobsvc.app import Replica
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as jobs_pb
from jobsvc.v1 import queue_service_pb2 as queues_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from jobsvc.worker import Processor, RetryPolicy, Worker

QUICK = RetryPolicy(max_attempts=3, initial_backoff=0.01, max_backoff=0.01)


class Caller:
    """Creates jobs and waits for their ends."""

    def __init__(self, channel: aio.Channel) -> None:
        self.jobs = JobServiceStub(channel)
        self.queues = QueueServiceStub(channel)

    async def create(self, queue: str = "q", text: str = "{}", **spec: Any) -> str:
        await self.queues.UpdateQueue(
            queues_pb.UpdateQueueRequest(queue=queues_pb.Queue(name=queue), allow_missing=True)
        )
        request = jobs_pb.CreateJobRequest(
            spec=job_pb2.JobSpec(queue=queue, input=payload_pb2.Payload(json_text=text), **spec)
        )
        return (await self.jobs.CreateJob(request)).job.id

    async def follow(self, job_id: str, until: Callable[[Any], bool]) -> Any:
        """The first status that satisfies `until`."""
        request = jobs_pb.StreamJobStatusRequest(job_ids=[job_id])
        async for response in self.jobs.StreamJobStatus(request):
            if response.WhichOneof("event") == "update" and until(response.update.status):
                return response.update.status
        raise AssertionError("the stream ended early")

    async def end(self, job_id: str) -> Any:
        """The job, ended."""
        await self.follow(job_id, lambda status: status.HasField("end_time"))
        return (await self.jobs.GetJob(jobs_pb.GetJobRequest(job_id=job_id))).job

    async def run(self, text: str = "{}", queue: str = "q", **spec: Any) -> Any:
        return await self.end(await self.create(queue, text, **spec))


@asynccontextmanager
async def worker(
    server: Replica, *processors: Processor[..., object], **options: Any
) -> AsyncIterator[Worker]:
    """A subscribed worker, so that its queues are declared."""
    options.setdefault("grace_seconds", 0.0)
    async with Worker(processors, target=f"127.0.0.1:{server.port}", **options) as running:
        await running.wait_subscribed()
        yield running


@dataclass
class Numbers:
    a: int
    b: int = 0


@dataclass
class Sum:
    total: int


async def add(numbers: Numbers) -> Sum:
    return Sum(numbers.a + numbers.b)


def add_in_thread(numbers: Numbers) -> Sum:
    return Sum(numbers.a + numbers.b)
