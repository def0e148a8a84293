"""A caller process that measures how long it waits on an idle system, from CreateJob sent to the
terminal status received, and where that time goes. All processes are on one machine, so their
clocks agree.

`python -m bench.scenarios.latency_caller stubs|client JOBS TARGET`, driven over its standard input.
The client's `create_and_wait` does not tell when the job was created: all until the processor
begins is its *dispatch*.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from contextlib import AsyncExitStack
from functools import partial
from itertools import pairwise
from statistics import median, quantiles
from typing import TYPE_CHECKING

from grpc import aio

from bench.measure.protocol import send_result, wait_for_start
from jobsvc.client import AsyncClient
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

QUEUE = "timed"
#: The steps of a job from create to status, in order.
STEPS = ("create", "dispatch", "run", "outcome commit", "status")
_WARM_UP = 30


async def _measure(road: str, jobs: int, target: str) -> None:
    async with AsyncExitStack() as stack:
        if road == "client":
            client = await stack.enter_async_context(AsyncClient(target))
            one = partial(_wait_for_one, client)
        else:
            channel = await stack.enter_async_context(aio.insecure_channel(target))
            one = partial(_follow_one, JobServiceStub(channel))
        for _ in range(_WARM_UP):
            await one()
        await wait_for_start()
        taken = [await one() for _ in range(jobs)]
        totals = [sum(steps) for steps in taken]
        numbers = {"median": median(totals), "p95": quantiles(totals, n=20)[18], "warm": _WARM_UP}
        await send_result(numbers | {s: median(t[i] for t in taken) for i, s in enumerate(STEPS)})


async def _follow_one(stub: JobServiceAsyncStub) -> list[float]:
    """Milliseconds of each step of one job."""
    sent = time.time()
    spec = job_pb2.JobSpec(queue=QUEUE, input=payload_pb2.Payload(json_text='{"n": 1}'))
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
    # A job may start before the caller has the response to its create: then dispatch is negative.
    times = (sent, created, ran["started"], ran["finished"], ended, received)
    return [1000 * (b - a) for a, b in pairwise(times)]


async def _wait_for_one(client: AsyncClient) -> list[float]:
    """Milliseconds of each step of one job; the first is empty."""
    sent = time.time()
    job = await client.create_and_wait(QUEUE, {"n": 1})
    received = time.time()
    if not job.succeeded or job.status.end_time is None:
        raise RuntimeError(f"job {job.id} ended as {job.state}")
    ran = job.output
    ended = job.status.end_time.timestamp()
    times = (sent, sent, ran["started"], ran["finished"], ended, received)
    return [1000 * (b - a) for a, b in pairwise(times)]


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.scenarios.latency_caller")
    parser.add_argument("road", choices=("stubs", "client"))
    parser.add_argument("jobs", type=int)
    parser.add_argument("target")
    chosen = parser.parse_args()
    asyncio.run(_measure(chosen.road, chosen.jobs, chosen.target))


if __name__ == "__main__":
    main()
