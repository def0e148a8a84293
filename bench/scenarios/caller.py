"""The caller process that creates jobs, with one channel to each server: by the bare stubs, or by
the client that ships.

`python -m bench.scenarios.caller create|batch|client|client-many JOBS UNDER_WAY TARGET…`, driven
over its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from statistics import quantiles
from typing import TYPE_CHECKING, Any

from grpc import aio

from bench.measure.protocol import send_result, wait_for_start
from bench.measure.workload import BATCH, INPUT, QUEUE
from jobsvc.client import AsyncClient, NewJob
from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

#: Creates jobs, at most so many, and returns their ids. Any: a stub or a client.
_Create = Callable[[Any, int], Awaitable[list[str]]]

_SPEC = job_pb2.JobSpec(queue=QUEUE, input=payload_pb2.Payload(json_text=INPUT))
_REQUEST = pb.CreateJobRequest(spec=_SPEC)
_VALUE = json.loads(INPUT)


async def _one(stub: JobServiceAsyncStub, max_jobs: int) -> list[str]:
    return [(await stub.CreateJob(_REQUEST)).job.id]


async def _batch(stub: JobServiceAsyncStub, max_jobs: int) -> list[str]:
    request = pb.BatchCreateJobsRequest(requests=[_REQUEST] * min(BATCH, max_jobs))
    return [response.job.id for response in (await stub.BatchCreateJobs(request)).responses]


async def _by_client(client: AsyncClient, max_jobs: int) -> list[str]:
    return [(await client.create(QUEUE, _VALUE)).id]


async def _many_by_client(client: AsyncClient, max_jobs: int) -> list[str]:
    jobs = (NewJob(QUEUE, _VALUE) for _ in range(min(BATCH, max_jobs)))
    return [created.id for created in await client.create_many(jobs)]


#: Those that create many jobs with each call.
_IN_BATCHES = (_batch, _many_by_client)


async def _create(
    create: _Create, stubs: list[Any], jobs: int, under_way: int
) -> tuple[list[str], list[float]]:
    """Creates `jobs`, so many calls under way at a time; returns the ids, and how long each call
    took."""
    ids: list[str] = []
    times: list[float] = []
    left = jobs

    async def call(stub: Any) -> None:
        nonlocal left
        while left > 0:
            size = min(left, BATCH if create in _IN_BATCHES else 1)
            left -= size
            began = time.perf_counter()
            ids.extend(await create(stub, size))
            times.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for n in range(under_way):
            group.create_task(call(stubs[n % len(stubs)]))
    return ids, times


async def _measure(operation: str, jobs: int, under_way: int, targets: list[str]) -> None:
    roads: dict[str, _Create] = {
        "create": _one,
        "batch": _batch,
        "client": _by_client,
        "client-many": _many_by_client,
    }
    create = roads[operation]
    async with AsyncExitStack() as stack:
        stubs: list[Any] = []
        for target in targets:
            if create in (_by_client, _many_by_client):
                stubs.append(await stack.enter_async_context(AsyncClient(target)))
            else:
                channel = await stack.enter_async_context(aio.insecure_channel(target))
                stubs.append(JobServiceStub(channel))
        warm = BATCH * len(stubs) if create in _IN_BATCHES else under_way
        before, _ = await _create(create, stubs, warm, under_way)
        await wait_for_start()
        began = time.perf_counter()
        ids, times = await _create(create, stubs, jobs, under_way)
        seconds = time.perf_counter() - began
        parts = quantiles(times, n=20) if len(times) > 1 else times * 19
        await send_result(
            {
                "seconds": seconds,
                "jobs": len(ids),
                "warm": len(before),
                "distinct": len({*ids, *before}),
                "call p50": 1000 * parts[9],
                "call p95": 1000 * parts[18],
            }
        )


def main() -> None:
    """Measures as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.scenarios.caller")
    parser.add_argument("operation", choices=("create", "batch", "client", "client-many"))
    parser.add_argument("jobs", type=int)
    parser.add_argument("under_way", type=int)
    parser.add_argument("targets", nargs="+", metavar="TARGET")
    chosen = parser.parse_args()
    asyncio.run(_measure(chosen.operation, chosen.jobs, chosen.under_way, chosen.targets))


if __name__ == "__main__":
    main()
