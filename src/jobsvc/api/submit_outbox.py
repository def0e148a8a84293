"""What one stream of Submit has to write: results, updates, follow failures, and signs of life."""

import asyncio
from collections.abc import Sequence

from jobsvc.api.bounds import MAX_RESULTS_BYTES
from jobsvc.api.convert.submit_responses import Result, results_response
from jobsvc.api.guard import Context
from jobsvc.api.status import status_of
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb

#: Jobs of one stream without a result; reading pauses beyond.
MAX_UNCONFIRMED = 10_000
#: Updates that wait to be sent, by their bytes; no more are read beyond.
_MAX_WAITING_BYTES = 1 << 20
#: Follow failures that wait to be sent, and those of one response; reading pauses beyond.
_MAX_FAILURES = 1000


class SubmitOutbox:
    """Bounded: who adds to it waits while the caller does not read."""

    def __init__(self, goes: str) -> None:
        """`goes` is what is said when the server drains."""
        self._goes = goes
        self._results: list[Result] = []
        self._updates: list[pb.JobUpdate] = []
        self._updates_bytes = 0
        self._failures: list[pb.FollowFailure] = []
        #: There is something to write, or the stream is over.
        self._changed = asyncio.Event()
        #: Something was written.
        self._written = asyncio.Event()
        #: Jobs that were read and whose results are not written.
        self._unconfirmed = 0
        #: No more requests will be read.
        self._ended = False
        self.is_draining = False

    def expect(self, count: int) -> None:
        """Notes that so many jobs were read, whose results must come before the stream ends."""
        self._unconfirmed += count

    def add_results(self, results: Sequence[Result]) -> None:
        """Adds results of jobs, of which updates may be added from now on."""
        self._results += results
        self._changed.set()

    def add_failure(self, job_id: str, error: Exception) -> None:
        """Adds why a job is not followed."""
        self._failures.append(pb.FollowFailure(job_id=job_id, error=status_of(error)))
        self._changed.set()

    async def add_update(self, update: pb.JobUpdate) -> None:
        """Adds an update as soon as there is room for it."""
        while self._updates_bytes > _MAX_WAITING_BYTES:
            await self._until_written()
        self._updates.append(update)
        self._updates_bytes += update.ByteSize()
        self._changed.set()

    async def until_room(self) -> None:
        """Waits until another request may be read."""
        while self._unconfirmed >= MAX_UNCONFIRMED or len(self._failures) >= _MAX_FAILURES:
            await self._until_written()

    async def _until_written(self) -> None:
        self._written.clear()
        await self._written.wait()

    def end(self) -> None:
        """Notes that no more requests will be read."""
        self._ended = True
        self._changed.set()

    def drain(self) -> None:
        """Has the caller told that the server is about to go."""
        self.is_draining = True
        self._changed.set()

    async def write(self, context: Context, heartbeat_seconds: float) -> None:
        """Writes until reading has ended, or the server drains, and all results are written."""
        drain_told = False
        while True:
            try:
                async with asyncio.timeout(heartbeat_seconds):
                    await self._changed.wait()
            except TimeoutError:
                beat = pb.SubmitResponse(heartbeat=job_pb2.StreamHeartbeat())
                beat.heartbeat.server_time.GetCurrentTime()
                await context.write(beat)
                continue
            self._changed.clear()
            if self.is_draining and not drain_told:
                drain_told = True
                await context.write(pb.SubmitResponse(drain=pb.SubmitDrain(reason=self._goes)))
            while self._results or self._updates or self._failures:
                await context.write(await self._next_response())
                self._written.set()
            if (self._ended or self.is_draining) and not self._unconfirmed:
                return

    async def _next_response(self) -> pb.SubmitResponse:
        response, count = await results_response(self._results, MAX_RESULTS_BYTES)
        del self._results[:count]
        self._unconfirmed -= count
        if self._results or (
            count and response.ByteSize() + self._updates_bytes > MAX_RESULTS_BYTES
        ):
            # Results come before what is said of their jobs.
            return response
        response.updates.extend(self._updates)
        self._updates, self._updates_bytes = [], 0
        response.follow_failures.extend(self._failures[:_MAX_FAILURES])
        del self._failures[:_MAX_FAILURES]
        return response
