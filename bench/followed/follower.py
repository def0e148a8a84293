"""Follows many jobs on a few streams of `Submit`, and measures how late their changes come.

`python -m bench.followed.follower TARGET RESTING MOVING`: each line of the two files has the ids of
one stream. First step: opens the streams, and follows the jobs that rest. Second: follows those
that will move. Third: waits until all of these have ended.
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

#: Most ids in one request.
_PART = 1000
_MAX_WAIT_SECONDS = 120.0
#: gRPC would put channels with equal options on one connection.
_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


class _Follower:
    def __init__(self) -> None:
        self._versions: dict[str, int] = {}
        self._ended = 0
        self._changed = asyncio.Event()
        self.late: list[float] = []

    async def read(self, call: aio.StreamStreamCall[pb.SubmitRequest, pb.SubmitResponse]) -> None:
        """Notes the updates of one stream, until it ends."""
        while isinstance(response := await call.read(), pb.SubmitResponse):
            for failure in response.follow_failures:
                raise RuntimeError(f"{failure.job_id}: {failure.error.message}")
            for update in response.updates:
                self._note(update)
            if response.updates:
                self._changed.set()

    def _note(self, update: pb.JobUpdate) -> None:
        status, before = update.status, self._versions.get(update.job_id)
        # The first one says how the job is when it is followed.
        if before is not None:
            self.late.append(time.time() - status.update_time.ToNanoseconds() / 1e9)
            if status.version <= before:
                raise RuntimeError(f"{update.job_id} went back to {status.version}")
        self._versions[update.job_id] = status.version
        self._ended += status.state == job_pb2.JOB_STATE_COMPLETED

    async def until(self, followed: int, ended: int) -> None:
        """Waits until so many jobs are followed, and so many have ended."""
        async with asyncio.timeout(_MAX_WAIT_SECONDS):
            while len(self._versions) < followed or self._ended < ended:
                self._changed.clear()
                await self._changed.wait()


def _read(file: Path) -> list[list[str]]:
    return [line.split() for line in file.read_text().splitlines()]


async def _follow(
    calls: Sequence[aio.StreamStreamCall[pb.SubmitRequest, pb.SubmitResponse]],
    streams: Sequence[list[str]],
) -> None:
    for call, ids in zip(calls, streams, strict=True):
        for start in range(0, len(ids), _PART):
            await call.write(pb.SubmitRequest(follow_job_ids=ids[start : start + _PART]))


async def _run(target: str, resting: Path, moving: Path) -> None:
    follower = _Follower()
    streams = _read(resting)
    followed = sum(map(len, streams))
    async with AsyncExitStack() as stack:
        stubs: list[JobServiceAsyncStub] = [
            JobServiceStub(await stack.enter_async_context(aio.insecure_channel(target, _OPTIONS)))
            for _ in streams
        ]
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        await next_step()
        calls = [stub.Submit() for stub in stubs]
        reading = [tasks.create_task(follower.read(call)) for call in calls]
        await _follow(calls, streams)
        await follower.until(followed, 0)
        await next_step({})
        streams = _read(moving)
        count = sum(map(len, streams))
        await _follow(calls, streams)
        await follower.until(followed + count, 0)
        await next_step({})
        await follower.until(followed + count, count)
        await next_step({"updates": len(follower.late), **percentiles("status", follower.late)})
        for task in reading:
            task.cancel()


def main() -> None:
    """Follows as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.followed.follower")
    parser.add_argument("target")
    parser.add_argument("resting", type=Path)
    parser.add_argument("moving", type=Path)
    chosen = parser.parse_args()
    asyncio.run(_run(chosen.target, chosen.resting, chosen.moving))


if __name__ == "__main__":
    main()
