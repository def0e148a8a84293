"""How long a caller waits on an idle system, from CreateJob sent to the terminal status received,
and where that time goes. All on one machine, so the clocks of the processes agree."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from itertools import pairwise
from statistics import median, quantiles
from typing import TYPE_CHECKING

from grpc import aio

from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

#: The steps of a job's way, in order.
STEPS = ("create", "dispatch", "run", "outcome commit", "status")


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds: the median and the 95th percentile in all, and the median of each step."""

    median: float
    p95: float
    steps: dict[str, float]


async def measure_latency(target: str, jobs: int = 300, warm_up: int = 50) -> Latency:
    """Creates jobs one after another, each after the terminal status of the one before."""
    async with aio.insecure_channel(target) as channel:
        stub = JobServiceStub(channel)
        taken = [await _follow_one(stub) for _ in range(warm_up + jobs)][warm_up:]
    totals = [sum(steps) for steps in taken]
    return Latency(
        median(totals),
        quantiles(totals, n=20)[18],
        {step: median(t[i] for t in taken) for i, step in enumerate(STEPS)},
    )


async def _follow_one(stub: JobServiceAsyncStub) -> list[float]:
    sent = time.time()
    spec = job_pb2.JobSpec(queue="noop", input=payload_pb2.Payload(json_text='{"n": 1}'))
    job = (await stub.CreateJob(pb.CreateJobRequest(spec=spec))).job
    created = time.time()
    request = pb.StreamJobStatusRequest(
        job_ids=[job.id], payload_encoding=payload_pb2.PAYLOAD_ENCODING_JSON_TEXT
    )
    last = job_pb2.JobStatus()
    async for response in stub.StreamJobStatus(request):
        if response.HasField("update"):
            last = response.update.status
            received = time.time()
    if last.state != job_pb2.JOB_STATE_COMPLETED:
        raise RuntimeError(f"job {job.id} ended as {last.state}")
    ran = json.loads(last.output.json_text)
    ended = last.end_time.ToNanoseconds() / 1e9
    # A job may start before the caller has the answer to its create: then dispatch is below zero.
    times = (sent, created, ran["started"], ran["finished"], ended, received)
    return [1000 * (b - a) for a, b in pairwise(times)]
