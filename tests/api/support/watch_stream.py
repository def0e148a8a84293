"""One `WatchJobs` call, read message by message."""

import asyncio
from collections.abc import Callable
from typing import Any

from grpc import aio

from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub

_SECONDS = 60.0


class Watch:
    """A stream, and what it has told so far."""

    def __init__(
        self, jobs: JobServiceStub, metadata: tuple[tuple[str, str], ...] = (), **fields: Any
    ) -> None:
        self.call = jobs.WatchJobs(pb.WatchJobsRequest(**fields), metadata=metadata)
        #: The last status of each job.
        self.latest: dict[str, pb.JobUpdate] = {}
        #: All of them: job, version, state.
        self.told: list[tuple[str, int, int]] = []
        self.bookmark = ""
        self.heartbeats = 0

    async def read(self) -> pb.WatchJobsResponse:
        """The next message."""
        async with asyncio.timeout(_SECONDS):
            message = await self.call.read()
        assert message is not aio.EOF, await self.call.code()
        self.bookmark = message.bookmark or self.bookmark
        if message.HasField("update"):
            update = message.update
            self.latest[update.job_id] = update
            self.told.append((update.job_id, update.status.version, update.status.state))
        self.heartbeats += message.HasField("heartbeat")
        return message

    async def synced(self) -> "Watch":
        """Reads until all jobs have been told."""
        while not (await self.read()).HasField("synced"):
            pass
        return self

    async def until(self, done: Callable[[], object]) -> None:
        """Reads until something is true."""
        async with asyncio.timeout(_SECONDS):
            while not done():
                await self.read()

    async def until_told(self, count: int) -> None:
        """Reads until so many updates have come."""
        await self.until(lambda: len(self.told) >= count)

    async def until_state(self, job_id: str, state: int) -> pb.JobUpdate:
        """Reads until a job is in a state."""
        await self.until(lambda: self.state(job_id) == state)
        return self.latest[job_id]

    def state(self, job_id: str) -> int:
        """The last state of a job; 0 if none was told."""
        return self.latest[job_id].status.state if job_id in self.latest else 0

    async def until_bookmark(self) -> str:
        """Reads until there is a later bookmark, and returns it."""
        before = self.bookmark
        await self.until(lambda: self.bookmark > before)
        return self.bookmark
