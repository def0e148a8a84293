"""Watches a queue on many streams, each with a label of its own: how late do changes come?

`python -m bench.watches.watcher TARGET CHANNELS QUEUE JOBS FIRST COUNT`: watch number n wants the
label `watch` = n. First step: opens the watches from number FIRST on. Second: waits until so many
JOBS have COMPLETED.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from grpc import aio

from bench.streams.steps import next_step, percentiles
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

#: Watches that are being opened at a time.
_OPENING = 100
_MAX_WAIT_SECONDS = 60.0
#: gRPC would put channels with equal options on one connection.
_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)
#: The label that a watch wants.
LABEL = "watch"


class _Watcher:
    def __init__(self, queue: str, watches: int, jobs: int) -> None:
        self._queue = queue
        self._to_open = watches
        self._jobs = jobs
        self._may_open = asyncio.Semaphore(_OPENING)
        self.all_open = asyncio.Event()
        self.all_ended = asyncio.Event()
        self.late: list[float] = []

    async def watch(self, stub: JobServiceAsyncStub, number: int) -> None:
        wanted = pb.JobFilter(queues=[self._queue], labels={LABEL: str(number)})
        versions: dict[str, int] = {}
        async with self._may_open:
            call = stub.WatchJobs(pb.WatchJobsRequest(filter=wanted, changes_only=True))
            response = await call.read()
            assert isinstance(response, pb.WatchJobsResponse)
            assert response.HasField("synced")
            self._to_open -= 1
            if not self._to_open:
                self.all_open.set()
        # An iterator would be nicer, but the two ways of reading do not mix.
        while (response := await call.read()) is not aio.EOF:
            assert isinstance(response, pb.WatchJobsResponse)
            if not response.HasField("update"):
                continue
            job_id, status = response.update.job_id, response.update.status
            self.late.append(time.time() - status.update_time.ToNanoseconds() / 1e9)
            if status.version <= versions.get(job_id, 0):
                raise RuntimeError(f"{job_id} came again with version {status.version}")
            versions[job_id] = status.version
            if status.state == job_pb2.JOB_STATE_COMPLETED:
                self._jobs -= 1
                if not self._jobs:
                    self.all_ended.set()


async def _run(target: str, channels: int, queue: str, jobs: int, first: int, count: int) -> None:
    watcher = _Watcher(queue, count, jobs)
    async with AsyncExitStack() as stack:
        stubs: list[JobServiceAsyncStub] = [
            JobServiceStub(await stack.enter_async_context(aio.insecure_channel(target, _OPTIONS)))
            for _ in range(channels)
        ]
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        # The connection of a caller has had calls before: gRPC then needs 3 KB less for a stream.
        for stub in stubs:
            await stub.CountJobs(pb.CountJobsRequest())
        await next_step()
        began = time.perf_counter()
        watching = [
            tasks.create_task(watcher.watch(stubs[n % channels], n))
            for n in range(first, first + count)
        ]
        await watcher.all_open.wait()
        await next_step({"seconds": time.perf_counter() - began})
        async with asyncio.timeout(_MAX_WAIT_SECONDS):
            await watcher.all_ended.wait()
        await next_step({"updates": len(watcher.late), **percentiles("change", watcher.late)})
        for task in watching:
            task.cancel()


def main() -> None:
    """Watches as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.watches.watcher")
    parser.add_argument("target")
    parser.add_argument("channels", type=int)
    parser.add_argument("queue")
    for name in ("jobs", "first", "count"):
        parser.add_argument(name, type=int)
    chosen = parser.parse_args()
    asyncio.run(
        _run(
            chosen.target,
            chosen.channels,
            chosen.queue,
            chosen.jobs,
            chosen.first,
            chosen.count,
        )
    )


if __name__ == "__main__":
    main()
