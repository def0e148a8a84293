"""Writes the status of followed jobs, at first and at each change."""

from collections.abc import Awaitable, Callable, Sequence

from jobsvc.api.byte_budget import ANSWER_SECONDS, SMALL_BYTES, current_charge
from jobsvc.api.convert.jobs import write_output, write_status
from jobsvc.domain.job import Job, NewStatus
from jobsvc.domain.owner import Owner
from jobsvc.domain.status_news import is_news
from jobsvc.jobs.followers import Follower
from jobsvc.jobs.read import JobReader, check_visible
from jobsvc.v1 import job_service_pb2 as pb

#: Jobs read in one go: the loop stays free, and memory bounded, when a stream follows a thousand.
_READ_IDS = 100
#: The same with their outputs, which have up to 256 KiB each.
_READ_OUTPUTS = 32


class StatusWriter:
    """Reads the status of jobs for one follower, and hands it to `send`."""

    def __init__(
        self,
        reader: JobReader,
        follower: Follower,
        full: bool,
        encoding: int,
        send: Callable[[pb.JobUpdate], Awaitable[None]],
    ) -> None:
        self._reader = reader
        self._send = send
        self._follower = follower
        self._full = full
        self._encoding = encoding
        self._read_ids = _READ_OUTPUTS if full else _READ_IDS
        #: What it holds of the bytes: outputs that are read and not sent.
        self.charge = current_charge.get().apart()

    async def read_first(self, ids: Sequence[str], caller: Owner) -> list[Job | NewStatus] | None:
        """Checks that all jobs exist and that the caller may see them. Returns them if they are
        few."""
        few = len(ids) <= self._read_ids
        for start in range(0, len(ids), _READ_IDS):
            part = ids[start : start + _READ_IDS]
            jobs = await self._reader.read_statuses(part, self._full and few)
            check_visible(jobs, part, caller)
        return [jobs[job_id] for job_id in dict.fromkeys(ids)] if few else None

    async def write_changed(
        self, ids: Sequence[str], jobs: list[Job | NewStatus] | None = None
    ) -> None:
        """Sends the jobs whose version has not been sent; `jobs` if they were just read.

        Raises:
            RateLimited: there was no room for their outputs.
        """
        for start in range(0, len(ids), self._read_ids):
            part = ids[start : start + self._read_ids]
            if jobs is None:
                jobs = await self._read_changed(part)
            # A status that is known has its output, whether that is sent or not.
            size_bytes = _output_bytes(jobs) if self._full else 0
            if size_bytes > SMALL_BYTES and not self.charge.take_at_once(size_bytes):
                # Without what was read: thousands of streams may wait.
                jobs = None
                await self.charge.reserve(size_bytes, ANSWER_SECONDS)
                jobs = await self._read_changed(part)
                self.charge.settle(_output_bytes(jobs))
            jobs.reverse()
            while jobs:
                job = jobs.pop()
                if job.id not in self._follower.seen:
                    continue  # It was left meanwhile.
                await self._send(await _update(self._follower, job, self._full, self._encoding))
            self.charge.close()
            jobs = None

    async def _read_changed(self, part: Sequence[str]) -> list[Job | NewStatus]:
        """Reads jobs, unless their status is known from its commit. Returns those whose version has
        not been sent."""
        taken = [(job_id, self._follower.take(job_id)) for job_id in part]
        changed: list[Job | NewStatus] = [known for _, known in taken if known is not None]
        unknown = [job_id for job_id, known in taken if known is None]
        if not unknown:
            return changed
        found = await self._reader.read_statuses(unknown, self._full)
        seen = self._follower.seen
        for job_id in unknown:
            job = found.get(job_id)
            if job is None:
                seen.pop(job_id, None)  # Removed since.
            elif job_id in seen and is_news(
                seen[job_id], job.status.version, job.status.state.ended
            ):
                changed.append(job)
        return changed


def _output_bytes(jobs: Sequence[Job | NewStatus]) -> int:
    """Characters, which is near enough."""
    return sum(len(job.status.output or "") for job in jobs)


async def _update(
    follower: Follower, job: Job | NewStatus, full: bool, encoding: int
) -> pb.JobUpdate:
    """The job as it is sent. Marks its version as seen."""
    if job.status.state.ended:
        follower.seen.pop(job.id, None)
    else:
        follower.seen[job.id] = job.status.version
    update = pb.JobUpdate(job_id=job.id, queue=job.queue, etag=job.etag)
    write_status(update.status, job, full)
    if full:
        await write_output(update.status, job, encoding)
    return update
