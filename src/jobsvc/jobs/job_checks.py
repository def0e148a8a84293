"""Checks requests for jobs as far as possible without writing, and fills in their defaults."""

from collections.abc import Callable, Sequence

from jobsvc.domain.errors import JobsvcError, PayloadRejected
from jobsvc.domain.job import JobOptions, NewJob
from jobsvc.domain.job_request import JobRequest, RequestedOptions, resolve
from jobsvc.domain.owner import Owner
from jobsvc.domain.queue import Queue
from jobsvc.domain.run_policy import server_defaults
from jobsvc.domain.schema import RefusedSchema, Schema
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings

#: Queues whose last resolved options are kept.
_MAX_RESOLVED = 1000


class _Checks:
    """What one check found that the next may share, while both go on at one time."""

    def __init__(self) -> None:
        self.time_slice = TimeSlice()
        self.asked: RequestedOptions | None = None
        self.options: JobOptions | None = None
        self.schema: Schema | RefusedSchema | None = None

    def options_without_schema(self, request: JobRequest) -> JobOptions | None:
        """The resolved options of a request if they are those of the one before, as in most
        batches, and no schema says more about its input."""
        return self.options if request.options is self.asked and self.schema is None else None


class JobChecks:
    """Checks of jobs that are to be created on this replica."""

    def __init__(
        self, catalog: Catalog, settings: Settings, new_ids: Callable[[int], list[str]]
    ) -> None:
        self._catalog = catalog
        self._defaults = server_defaults(settings)
        self._new_ids = new_ids
        #: The last resolved options of each queue, with the request and the queue they came from.
        self._resolved: dict[str, tuple[RequestedOptions, Queue, JobOptions]] = {}
        #: The `max_waiting` of queues that have one, and were used lately.
        self.limited: dict[str, int] = {}

    async def check(self, requests: Sequence[JobRequest], owner: Owner) -> list[NewJob]:
        """The jobs that the requests ask for, checked as far as possible without writing. Empties
        their decoded payloads: while many large ones wait for the database, the collector of
        garbage would look through all that is in them.

        Raises:
            QueueNotFound: unknown queue.
            PayloadRejected: an input does not fit the schema of its queue.
        """
        new_jobs = []
        checks = _Checks()
        for request, job_id in zip(requests, self._new_ids(len(requests)), strict=True):
            options = checks.options_without_schema(request)
            if options is None:  # A coroutine for each job would take time.
                options = await self._check(request, checks)
            new_jobs.append(_new_job(request, job_id, owner, options))
        return new_jobs

    async def check_each(
        self, requests: Sequence[tuple[JobRequest, Owner]]
    ) -> list[NewJob | JobsvcError]:
        """Checks each job for itself. Returns for each what `check` returns or raises; the ids are
        in their order."""
        checked: list[NewJob | JobsvcError] = []
        checks = _Checks()
        for (request, owner), job_id in zip(requests, self._new_ids(len(requests)), strict=True):
            try:
                options = checks.options_without_schema(request)
                if options is None:
                    options = await self._check(request, checks)
                checked.append(_new_job(request, job_id, owner, options))
            except JobsvcError as error:
                checked.append(error)
            if checks.time_slice.used_up:
                await checks.time_slice.yield_()
        return checked

    async def _check(self, request: JobRequest, checks: "_Checks") -> JobOptions:
        asked = request.options
        if checks.options is None or asked is not checks.asked:
            checks.options = None
            with request.marking_errors():
                queue = await self._catalog.queue(asked.queue)
            schema_id = queue.input_schema_id
            checks.schema = None if schema_id is None else await self._catalog.schema(schema_id)
            checks.options, checks.asked = self._resolve(asked, queue), asked
        if checks.schema is not None:
            text = request.input or "{}"
            if checks.time_slice.used_up or checks.schema.may_take_long(text):
                await checks.time_slice.yield_()
            if found := checks.schema.violations(request.payload, request.input_path, text):
                raise PayloadRejected(found, **request.error_metadata)
        return checks.options

    def _resolve(self, asked: RequestedOptions, queue: Queue) -> JobOptions:
        last = self._resolved.get(queue.name)
        if last is not None and last[0] is asked and last[1] is queue:
            return last[2]
        options = resolve(asked, queue, self._defaults)
        self._note_limit(queue)
        if len(self._resolved) >= _MAX_RESOLVED:
            self._resolved.clear()
        self._resolved[queue.name] = asked, queue, options
        return options

    def _note_limit(self, queue: Queue) -> None:
        limit = queue.policy.max_waiting
        if limit is None:
            self.limited.pop(queue.name, None)
        else:
            self.limited[queue.name] = limit


def _new_job(request: JobRequest, job_id: str, owner: Owner, options: JobOptions) -> NewJob:
    """The job of a request that was checked. Empties its decoded payload."""
    request.payload.clear()
    return NewJob(
        job_id,
        options,
        owner,
        request.input,
        request.unique_key,
        request.request_id,
        request.request_digest,
    )
