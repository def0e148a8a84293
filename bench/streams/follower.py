"""Follows jobs on many streams, and measures how late their changes come.

`python -m bench.streams.follower TARGET CHANNELS FILE`: each line of the file has the ids of one
stream, the last of which never changes. First step: opens the streams. Second: waits until all
other jobs have ended.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from grpc import aio

from bench.streams.steps import next_step, percentiles
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub

#: Streams that are being opened at a time.
_OPENING = 100
_MAX_WAIT_SECONDS = 60.0
#: gRPC would put channels with equal options on one connection.
_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


class _Follower:
    def __init__(self, streams: int, moving: int) -> None:
        self._to_open = streams
        self._moving = moving
        self._may_open = asyncio.Semaphore(_OPENING)
        self.all_open = asyncio.Event()
        self.all_ended = asyncio.Event()
        self.late: list[float] = []

    async def follow(self, stub: JobServiceAsyncStub, job_ids: list[str]) -> None:
        versions: dict[str, int] = {}
        synced = False
        async with self._may_open:
            call = stub.StreamJobStatus(pb.StreamJobStatusRequest(job_ids=job_ids))
            while not synced:
                response = await call.read()
                assert isinstance(response, pb.StreamJobStatusResponse)
                synced = response.HasField("synced")
            self._to_open -= 1
            if not self._to_open:
                self.all_open.set()
        # An iterator would be nicer, but the two ways of reading do not mix.
        while (response := await call.read()) is not aio.EOF:
            assert isinstance(response, pb.StreamJobStatusResponse)
            if not response.HasField("update"):
                continue
            status = response.update.status
            self.late.append(time.time() - status.update_time.ToNanoseconds() / 1e9)
            if status.version <= versions.get(response.update.job_id, 1):
                raise RuntimeError(f"{response.update.job_id} went back to {status.version}")
            versions[response.update.job_id] = status.version
            if status.state == job_pb2.JOB_STATE_COMPLETED:
                self._moving -= 1
                if not self._moving:
                    self.all_ended.set()


async def _run(target: str, channels: int, streams: Sequence[list[str]]) -> None:
    follower = _Follower(len(streams), sum(len(ids) - 1 for ids in streams))
    async with AsyncExitStack() as stack:
        stubs: list[JobServiceAsyncStub] = [
            JobServiceStub(await stack.enter_async_context(aio.insecure_channel(target, _OPTIONS)))
            for _ in range(channels)
        ]
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        await next_step()
        began = time.perf_counter()
        following = [
            tasks.create_task(follower.follow(stubs[n % channels], ids))
            for n, ids in enumerate(streams)
        ]
        await follower.all_open.wait()
        await next_step({"seconds": time.perf_counter() - began})
        async with asyncio.timeout(_MAX_WAIT_SECONDS):
            await follower.all_ended.wait()
        await next_step({"updates": len(follower.late), **percentiles("status", follower.late)})
        for task in following:
            task.cancel()


def main() -> None:
    """Follows as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams.follower")
    parser.add_argument("target")
    parser.add_argument("channels", type=int)
    parser.add_argument("file", type=Path)
    chosen = parser.parse_args()
    streams = [line.split() for line in chosen.file.read_text().splitlines()]
    asyncio.run(_run(chosen.target, chosen.channels, streams))


if __name__ == "__main__":
    main()
