"""Deletes jobs that have ended."""

from jobsvc.domain.job import Job
from jobsvc.domain.job_control import Control
from jobsvc.domain.owner import Owner
from jobsvc.jobs.control import controlled
from jobsvc.jobs.read import JobReader
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store


class Deletion:
    """Deletes jobs on behalf of callers."""

    def __init__(self, store: Store, reader: JobReader, hints: Hints, settings: Settings) -> None:
        self._store = store
        self._reader = reader
        self._hints = hints
        self._settings = settings

    async def delete(self, job_id: str, caller: Owner, etag: str) -> None:
        """Deletes a job that has ended; its request id is remembered for as long as any.

        Raises: as `controlled`.
        """

        async def act(job: Job) -> bool | None:
            window_seconds = self._settings.request_id_seconds
            versions = {job_id: job.status.version}
            return bool(await self._store.job_control.delete(versions, window_seconds)) or None

        await controlled(self._reader, job_id, caller, Control.DELETE, etag, act)
        self._hints.tell([job_id])
