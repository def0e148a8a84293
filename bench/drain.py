"""How fast a backlog is created in batches, and drained by one worker process."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grpc import aio

from bench.stack import workers
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1 import queue_service_pb2 as queue_pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from jobsvc.v1.queue_service_pb2_grpc import QueueServiceAsyncStub

_BATCH = 500
#: Input of 200 bytes, as the peers are measured with.
_INPUT = '{"n": "' + "x" * 191 + '"}'


@dataclass(frozen=True, slots=True)
class Drain:
    """Jobs a second, and how the jobs ended."""

    created_per_second: float
    drained_per_second: float
    completed: int
    not_once: int


async def measure_drain(target: str, jobs: int = 10_000, worker_count: int = 1) -> Drain:
    """Creates a backlog without a worker, then starts the workers and waits until it is gone.

    The time of the drain runs from the first job leased to the last one ended, by
    the database's clock, so that the start of the worker process does not count.
    """
    async with aio.insecure_channel(target) as channel:
        stub, queues = JobServiceStub(channel), QueueServiceStub(channel)
        await queues.UpdateQueue(
            queue_pb.UpdateQueueRequest(queue=queue_pb.Queue(name="noop"), allow_missing=True)
        )
        spec = job_pb2.JobSpec(queue="noop", input=payload_pb2.Payload(json_text=_INPUT))
        batch = pb.BatchCreateJobsRequest(requests=[pb.CreateJobRequest(spec=spec)] * _BATCH)
        ids: list[str] = []
        began = time.perf_counter()
        for _ in range(jobs // _BATCH):
            created = await stub.BatchCreateJobs(batch)
            ids += [answer.job.id for answer in created.responses]
        create_seconds = time.perf_counter() - began
        with workers(target, worker_count):
            await _until_drained(queues)
        statuses: list[job_pb2.JobStatus] = []
        for start in range(0, len(ids), 1000):
            statuses += await _final(stub, ids[start : start + 1000])
    starts = [s.start_time.ToNanoseconds() for s in statuses]
    ends = [s.end_time.ToNanoseconds() for s in statuses]
    return Drain(
        len(ids) / create_seconds,
        len(ids) / ((max(ends) - min(starts)) / 1e9),
        sum(s.state == job_pb2.JOB_STATE_COMPLETED for s in statuses),
        sum(s.attempt != 1 for s in statuses),
    )


async def _until_drained(queues: QueueServiceAsyncStub) -> None:
    while True:
        answer = await queues.GetQueueStats(queue_pb.GetQueueStatsRequest(queues=["noop"]))
        (stats,) = answer.stats
        if not stats.ready_count and not stats.processing_count:
            return
        await asyncio.sleep(0.1)


async def _final(stub: JobServiceAsyncStub, ids: list[str]) -> list[job_pb2.JobStatus]:
    request = pb.StreamJobStatusRequest(job_ids=ids, view=job_pb2.JOB_VIEW_BASIC)
    return [
        response.update.status
        async for response in stub.StreamJobStatus(request)
        if response.HasField("update") and response.update.status.HasField("end_time")
    ]
