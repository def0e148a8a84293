"""Cancels jobs: a waiting one at once, a running one by way of its worker."""

from jobsvc.domain.job import Job
from jobsvc.domain.job_control import Control, is_cancelled
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.owner import Owner
from jobsvc.jobs.control import controlled
from jobsvc.jobs.read import JobReader
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.telemetry.jobs import JobMeasurements
from jobsvc.telemetry.measurements import Measurements


class Cancellation:
    """Cancels jobs on behalf of callers."""

    def __init__(
        self,
        store: Store,
        reader: JobReader,
        hints: Hints,
        settings: Settings,
        measurements: Measurements | None = None,
    ) -> None:
        self._store = store
        self._reader = reader
        self._hints = hints
        self._settings = settings
        self._measured = JobMeasurements(measurements)

    async def cancel(self, job_id: str, caller: Owner, reason: str, etag: str) -> Job:
        """Cancels a job, and returns it as it is then. Does nothing if that was done before.

        Raises: as `controlled`.
        """

        async def act(job: Job) -> Job | None:
            if is_cancelled(job):
                return job
            # The progress of a running job raises its version all the time.
            version = job.status.version if etag else None
            done = await self._store.job_control.cancel(
                job_id,
                version,
                reason,
                self._settings.failed_retention_seconds,
                self._settings.cancel_grace_seconds,
            )
            if not done:
                return None
            if done is True:
                self._measured.cancelled_waiting(job.queue, 1)
            self._hints.tell([job_id], cancels=[done] if isinstance(done, LeaseId) else ())
            return await self._reader.read(job_id, caller, False)

        return await controlled(self._reader, job_id, caller, Control.CANCEL, etag, act)
