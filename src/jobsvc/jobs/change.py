"""Changes jobs that wait."""

from collections.abc import Callable

from jobsvc.domain.errors import PayloadRejected
from jobsvc.domain.job import Job
from jobsvc.domain.job_control import Control, JobChange, check_can_begin
from jobsvc.domain.owner import Owner
from jobsvc.jobs.control import controlled
from jobsvc.jobs.read import JobReader
from jobsvc.jobs.retry import tell_queued
from jobsvc.queues.catalog import Catalog
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store


class Changing:
    """Changes jobs on behalf of callers."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        reader: JobReader,
        hints: Hints,
        on_due: Callable[[str, float], None],
    ) -> None:
        """`on_due(queue, seconds)` is called for a job that becomes ready after a delay."""
        self._store = store
        self._catalog = catalog
        self._reader = reader
        self._hints = hints
        self._on_due = on_due

    async def change(self, job_id: str, caller: Owner, change: JobChange, etag: str) -> Job:
        """Changes a job that is PENDING, and returns it.

        Raises: as `controlled`, and
            PayloadRejected: the input does not fit the schema of the queue.
            InvalidRequest: the job would expire before it may run.
        """

        async def act(job: Job) -> Job | None:
            check_can_begin(change, job.expire_time, job.status.run_time, job.read_time)
            if "input" in change.fields:
                await self._check_input(job.queue, change)
            versions = {job_id: job.status.version}
            queued = (await self._store.job_control.update(versions, change)).get(job_id)
            if queued is None:
                return None
            tell_queued(self._hints, self._on_due, job_id, queued)
            return await self._reader.read(job_id, caller, False)

        return await controlled(self._reader, job_id, caller, Control.UPDATE, etag, act)

    async def _check_input(self, queue_name: str, change: JobChange) -> None:
        queue = await self._catalog.queue(queue_name)
        if queue.input_schema_id is None:
            return
        schema = await self._catalog.schema(queue.input_schema_id)
        found = schema.violations(change.payload, "spec.input", change.input or "{}")
        if found:
            raise PayloadRejected(found)
