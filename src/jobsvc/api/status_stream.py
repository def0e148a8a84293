"""StreamJobStatus: the status of a known set of jobs, now and at each change, until all have
ended."""

import asyncio
import random
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.api.byte_budget import ANSWER_SECONDS, SMALL_BYTES, current_charge
from jobsvc.api.convert.jobs import (
    check_encoding,
    job_ids,
    view_is_full,
    write_output,
    write_status,
)
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.guard import Context
from jobsvc.domain.job import Job
from jobsvc.domain.owner import Owner
from jobsvc.domain.status_news import is_news
from jobsvc.jobs.followers import Follower, Hub
from jobsvc.jobs.read import JobReader, check_visible
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb

_MAX_IDS = 1000
#: Jobs read in one go: the loop stays free, and memory bounded, when a stream follows a thousand.
_READ_IDS = 100
#: The same with their outputs, which have up to 256 KiB each.
_READ_OUTPUTS = 32


class StatusStreams:
    """Serves all status streams of a replica: one object, as thousands may be open."""

    def __init__(self, hub: Hub, reader: JobReader, heartbeat_seconds: float) -> None:
        self._hub = hub
        self._reader = reader
        self._heartbeat_seconds = heartbeat_seconds

    async def serve(
        self, request: pb.StreamJobStatusRequest, context: Context, caller: Owner
    ) -> None:
        """Writes to one stream until all its jobs have ended.

        Raises:
            InvalidRequest: a field breaks a rule of the contract.
            JobNotFound, JobNotOwned: before the first update, of any job.
            ServerDraining: the replica is about to exit.
            RateLimited: there was no room for outputs, as others are not read.
        """
        checks = RequestChecks()
        full = view_is_full(checks, request.view)
        check_encoding(checks, request.payload_encoding)
        heartbeat_seconds = (
            checks.seconds("heartbeat_interval", request.heartbeat_interval, 5, 300)
            if request.HasField("heartbeat_interval")
            else self._heartbeat_seconds
        )
        checks.raise_if_violated()
        ids = job_ids(request.job_ids, "job_ids", _MAX_IDS)
        # Follow before reading: a change in between is then read again.
        with self._hub.follow(ids) as follower:
            stream = _Stream(self._reader, context, follower, full, request.payload_encoding)
            try:
                # The jobs get no name here: the stream would hold them until it ends.
                await stream.write_changed(ids, await stream.read_first(ids, caller))
                await context.write(pb.StreamJobStatusResponse(synced=pb.StreamSynced()))
                while follower.seen:
                    try:
                        # Spread, so that thousands of streams opened at once do not all beat at
                        # once.
                        async with asyncio.timeout(heartbeat_seconds * random.uniform(0.8, 1.0)):
                            changed = await follower.changed()
                    except TimeoutError:
                        now = Timestamp()
                        now.GetCurrentTime()
                        heartbeat = job_pb2.StreamHeartbeat(server_time=now)
                        await context.write(pb.StreamJobStatusResponse(heartbeat=heartbeat))
                        continue
                    await stream.write_changed(changed)
            finally:
                stream.charge.close()


class _Stream:
    """One stream that is being written to."""

    def __init__(
        self, reader: JobReader, context: Context, follower: Follower, full: bool, encoding: int
    ) -> None:
        self._reader = reader
        self._context = context
        self._follower = follower
        self._full = full
        self._encoding = encoding
        self._read_ids = _READ_OUTPUTS if full else _READ_IDS
        #: What it holds of the bytes: outputs that are read and not sent.
        self.charge = current_charge.get().apart()

    async def read_first(self, ids: Sequence[str], caller: Owner) -> list[Job] | None:
        """Checks that all jobs exist and that the caller may see them. Returns them if they are
        few."""
        few = len(ids) <= self._read_ids
        for start in range(0, len(ids), _READ_IDS):
            part = ids[start : start + _READ_IDS]
            jobs = await self._reader.read_statuses(part, self._full and few)
            check_visible(jobs, part, caller)
        return [jobs[job_id] for job_id in dict.fromkeys(ids)] if few else None

    async def write_changed(self, ids: Sequence[str], jobs: list[Job] | None = None) -> None:
        """Sends the jobs whose version has not been sent; `jobs` if they were just read.

        Raises:
            RateLimited: there was no room for their outputs.
        """
        for start in range(0, len(ids), self._read_ids):
            part = ids[start : start + self._read_ids]
            if jobs is None:
                jobs = await self._read_changed(part)
            size_bytes = _output_bytes(jobs)
            if size_bytes > SMALL_BYTES and not self.charge.take_at_once(size_bytes):
                # Without what was read: thousands of streams may wait.
                jobs = None
                await self.charge.reserve(size_bytes, ANSWER_SECONDS)
                jobs = await self._read_changed(part)
                self.charge.settle(_output_bytes(jobs))
            jobs.reverse()
            while jobs:
                job = jobs.pop()
                await self._context.write(
                    await _update(self._follower, job, self._full, self._encoding)
                )
            self.charge.close()
            jobs = None

    async def _read_changed(self, part: Sequence[str]) -> list[Job]:
        """Reads jobs, and returns those whose version has not been sent."""
        found = await self._reader.read_statuses(part, self._full)
        seen = self._follower.seen
        changed = []
        for job_id in part:
            job = found.get(job_id)
            if job is None:
                seen.pop(job_id, None)  # Removed since.
            elif job_id in seen and is_news(
                seen[job_id], job.status.version, job.status.state.ended
            ):
                changed.append(job)
        return changed


def _output_bytes(jobs: Sequence[Job]) -> int:
    """Characters, which is near enough."""
    return sum(len(job.status.output or "") for job in jobs)


async def _update(
    follower: Follower, job: Job, full: bool, encoding: int
) -> pb.StreamJobStatusResponse:
    """The job as it is sent. Marks its version as seen."""
    if job.status.state.ended:
        follower.seen.pop(job.id, None)
    else:
        follower.seen[job.id] = job.status.version
    response = pb.StreamJobStatusResponse()
    response.update.job_id = job.id
    response.update.queue = job.queue
    write_status(response.update.status, job, full)
    if full:
        await write_output(response.update.status, job, encoding)
    return response
