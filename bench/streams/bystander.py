"""A caller that has nothing to do with the streams, and measures how long its CreateJob takes.

`python -m bench.streams.bystander TARGET SECONDS`: each step lasts so long, at 50 calls a second.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import TYPE_CHECKING

from grpc import aio

from bench.measure.workload import INPUT
from bench.streams.steps import next_step, percentiles
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

QUEUE = "bystander"
_PAUSE_SECONDS = 0.02
_WARM_UP_SECONDS = 1.0
_REQUEST = pb.CreateJobRequest(
    spec=job_pb2.JobSpec(queue=QUEUE, input=payload_pb2.Payload(json_text=INPUT))
)


async def _create(stub: JobServiceAsyncStub, seconds: float) -> list[float]:
    """Returns how long each call took, in seconds."""
    taken = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await stub.CreateJob(_REQUEST)
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(max(0.0, _PAUSE_SECONDS - taken[-1]))
    return taken


async def _run(target: str, seconds: float) -> None:
    async with aio.insecure_channel(target) as channel:
        stub: JobServiceAsyncStub = JobServiceStub(channel)
        await _create(stub, _WARM_UP_SECONDS)
        going = await next_step()
        while going:
            taken = await _create(stub, seconds)
            going = await next_step({"creates": len(taken), **percentiles("create", taken)})


def main() -> None:
    """Creates as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams.bystander")
    parser.add_argument("target")
    parser.add_argument("seconds", type=float)
    chosen = parser.parse_args()
    asyncio.run(_run(chosen.target, chosen.seconds))


if __name__ == "__main__":
    main()
