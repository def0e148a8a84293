"""Queues jobs that FAILED or were CANCELLED again, under the same id."""

from collections.abc import Awaitable, Callable

from jobsvc.domain.errors import UniqueKeyTaken
from jobsvc.domain.job import Job
from jobsvc.domain.job_control import Control
from jobsvc.domain.owner import Owner
from jobsvc.jobs.control import controlled
from jobsvc.jobs.read import JobReader
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.job_control import Queued
from jobsvc.store.jobs import KeyTaken
from jobsvc.store.store import Store
from jobsvc.store.upkeep import ExpiredJob
from jobsvc.telemetry.jobs import JobMeasurements
from jobsvc.telemetry.measurements import Measurements


class Retrying:
    """Retries jobs on behalf of callers."""

    def __init__(
        self,
        store: Store,
        reader: JobReader,
        hints: Hints,
        on_due: Callable[[str, float], None],
        settings: Settings,
        let_in: Callable[[Owner, int], Awaitable[None]],
        measurements: Measurements | None = None,
    ) -> None:
        """`on_due(queue, seconds)` is called for a job that becomes ready after a delay, and
        `let_in` lets so many more jobs of a caller's service wait, or raises ServiceFull."""
        self._store = store
        self._reader = reader
        self._hints = hints
        self._on_due = on_due
        self._settings = settings
        self._let_in = let_in
        self._measured = JobMeasurements(measurements)

    async def retry(self, job_id: str, caller: Owner, extra_attempts: int, etag: str) -> Job:
        """Queues a job again with `extra_attempts` on top of those made, and returns it.

        Raises: as `controlled`, and
            QueueNotFound: its queue has been removed.
            UniqueKeyTaken: another job holds its unique key by now.
            ServiceFull: as many jobs of the caller's service wait as may.
        """

        async def act(job: Job) -> Job | None:
            await self._let_in(caller, 1)
            counted = None if caller.most_waiting is None else caller.service
            queued = await self._queue_again(job, extra_attempts, counted)
            if queued is None:
                return None
            tell_queued(self._hints, self._on_due, job_id, queued)
            return await self._reader.read(job_id, caller, False)

        return await controlled(self._reader, job_id, caller, Control.RETRY, etag, act)

    async def _queue_again(
        self, job: Job, extra_attempts: int, counted_service: str | None
    ) -> Queued | None:
        """Moves the job into its queue, where it counts for that service. None if it has changed,
        or its key was taken meanwhile."""
        expired: list[ExpiredJob] = []
        try:
            async with self._store.database.transaction() as connection:
                await self._store.queues.lock_open(job.queue, connection)
                if job.unique_key is not None:
                    key = job.queue, job.unique_key
                    holders = await self._store.jobs.find_key_holders([key], connection)
                    holder = holders.get(key)
                    if holder is not None and not holder.overdue:
                        others = await self._store.jobs.read(
                            [holder.job_id], False, False, connection
                        )
                        is_named = all(job.owner.knows_of(other.owner) for other in others.values())
                        raise UniqueKeyTaken(job.unique_key, holder.job_id if is_named else "")
                    if holder is not None:
                        # A waiting job whose time is over keeps no key.
                        expired += await self._store.upkeep.expire_named(
                            [holder.job_id], self._settings.failed_retention_seconds, connection
                        )
                queued = await self._store.job_control.retry(
                    {job.id: job.status.version}, extra_attempts, connection, counted_service
                )
        except KeyTaken:
            return None
        self._measured.expired((job.queue, job.reason) for job in expired)
        self._hints.tell([job.job_id for job in expired])
        return queued.get(job.id)


def tell_queued(
    hints: Hints, on_due: Callable[[str, float], None], job_id: str, queued: Queued
) -> None:
    """Tells all replicas that a job has changed, and when it is ready."""
    is_ready = queued.delay_seconds <= 0
    if not is_ready:
        on_due(queued.queue, queued.delay_seconds)
    hints.tell([job_id], [queued.queue] if is_ready else ())
