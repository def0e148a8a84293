"""Reading jobs on behalf of a caller, who must be allowed to see them."""

import asyncio
from collections.abc import Mapping, Sequence

from jobsvc.domain.errors import JobNotFound, QueueNotFound
from jobsvc.domain.job import AttemptRecord, Job, JobState, JobStatus
from jobsvc.domain.owner import Owner, check_owner
from jobsvc.domain.wait_reason import WaitReason, wait_reason
from jobsvc.jobs.followers import Hub
from jobsvc.queues.catalog import Catalog
from jobsvc.store.store import Store

#: Attempts that are shown of a job.
_MAX_ATTEMPTS = 10
#: States in which the status is that of the last attempt. A job may fail or be cancelled while it
#: waits: then its last attempt ended before, in another way than the job.
_SHOWS_ITS_ATTEMPT = {JobState.PROCESSING, JobState.COMPLETED}


class JobReader:
    """Reads jobs as they are now. Readers at the same time share statements."""

    def __init__(self, store: Store, catalog: Catalog, hub: Hub) -> None:
        self._store = store
        self._catalog = catalog
        self._hub = hub

    async def read(self, job_id: str, caller: Owner, with_payloads: bool) -> Job:
        """Returns a job that the caller may see.

        Raises:
            JobNotFound: there is none.
            JobNotOwned: the caller may not see it.
        """
        jobs = await self._store.shared_reads.read([job_id], with_payloads, with_payloads)
        check_visible(jobs, [job_id], caller)
        return jobs[job_id]

    async def read_statuses(self, job_ids: Sequence[str], with_outputs: bool) -> Mapping[str, Job]:
        """Returns jobs by id, without their inputs and without a check of the caller; jobs that do
        not exist are left out."""
        return await self._store.shared_reads.read(job_ids, False, with_outputs)

    async def wait(
        self,
        job_id: str,
        caller: Owner,
        with_payloads: bool,
        seconds: float,
        after_version: int | None,
    ) -> Job:
        """Waits until the job has ended or has a version after `after_version`, at most `seconds`,
        and returns the job as it is then.

        Raises: as `read`, and
            ServerDraining: the replica is about to exit.
        """
        # Follow before reading: a change in between wakes the wait.
        with self._hub.follow([job_id]) as follower:
            job = await self.read(job_id, caller, with_payloads)
            try:
                async with asyncio.timeout(seconds):
                    while not _ends_wait(job.status, after_version):
                        follower.seen[job_id] = job.status.version
                        await follower.changed()
                        job = await self.read(job_id, caller, with_payloads)
            except TimeoutError:
                pass
        return job

    async def wait_reason(self, job: Job) -> tuple[WaitReason, str]:
        """Returns why the job is not running yet, and more about it for people."""
        if job.status.state is not JobState.PENDING:
            return WaitReason.UNSPECIFIED, ""
        try:
            pause = (await self._catalog.queue(job.queue)).pause
        except QueueNotFound:
            pause = None
        workers = await self._store.queues.count_workers(job.queue)
        reason = wait_reason(job, pause is not None, *workers)
        is_paused = pause is not None and reason is WaitReason.QUEUE_PAUSED
        return reason, pause.detail if is_paused and pause else ""

    async def attempts(self, job: Job) -> list[AttemptRecord]:
        """Returns the last ten attempts, newest first."""
        status = job.status
        if not status.attempt:
            return []
        if status.attempt == 1 and status.state in _SHOWS_ITS_ATTEMPT:
            return [_attempt_of(status)]
        past = await self._store.jobs.read_attempts(job.id, status.attempt)
        if past and past[0].attempt == status.attempt:
            return past
        return [_attempt_of(status), *past][:_MAX_ATTEMPTS]


def check_visible(jobs: Mapping[str, Job], job_ids: Sequence[str], caller: Owner) -> None:
    """Checks that all of `job_ids` are among `jobs`, and that the caller may see them.

    Raises:
        JobNotFound: one is missing.
        JobNotOwned: the caller may not see one.
    """
    for job_id in job_ids:
        if job_id not in jobs:
            raise JobNotFound(job_id)
        check_owner(caller, jobs[job_id].owner, job_id)


def _ends_wait(status: JobStatus, after_version: int | None) -> bool:
    if status.state.ended:
        return True
    return after_version is not None and status.version > after_version


def _attempt_of(status: JobStatus) -> AttemptRecord:
    """The attempt that the status is about: it runs, or the job has ended with it."""
    return AttemptRecord(
        status.attempt,
        status.worker_id,
        status.start_time,
        status.end_time,
        status.error if status.state.ended else None,
    )
