"""Creates jobs: fills in defaults, checks payloads, writes, tells the dispatcher."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from datetime import datetime
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context

from jobsvc.domain.created_job import Created, CreateResult
from jobsvc.domain.errors import JobsvcError, QueueFull
from jobsvc.domain.job import NewJob
from jobsvc.domain.job_id import new_job_ids
from jobsvc.domain.job_request import JobRequest
from jobsvc.domain.owner import Owner
from jobsvc.jobs.conflicts import create_or_find, find_repeated
from jobsvc.jobs.job_checks import JobChecks
from jobsvc.jobs.send_spans import SendSpans
from jobsvc.queues.catalog import Catalog
from jobsvc.queues.waiting_limit import WaitingLimit
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.jobs import BornLeased
from jobsvc.store.store import Store
from jobsvc.telemetry.jobs import JobMeasurements
from jobsvc.telemetry.measurements import Measurements


class Asked(NamedTuple):
    """A job that is asked for among others, its owner, and the trace context of its creation, which
    may be empty."""

    request: JobRequest
    owner: Owner
    context: Context


class Creation:
    """Creates jobs, one by one under shared commits, or many in one transaction."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        hints: Hints,
        on_due: Callable[[str, float], None],
        settings: Settings,
        tracer: trace.Tracer,
        new_ids: Callable[[int], list[str]] = new_job_ids,
        measurements: Measurements | None = None,
    ) -> None:
        """`on_due(queue, seconds)` is called for a job that becomes ready after a delay; `new_ids`
        makes so many ids."""
        self._store = store
        self._hints = hints
        self._on_due = on_due
        self._settings = settings
        self._spans = SendSpans(tracer)
        self._checks = JobChecks(catalog, settings, new_ids)
        self._measured = JobMeasurements(measurements)
        self._waiting_limit = WaitingLimit(store.queues)
        #: Transactions of jobs of `create_each`, all together: half of the pool is left to others.
        self._alone = asyncio.Semaphore(max(1, settings.pool_size // 2))

    async def _let_in(
        self, requests: Sequence[JobRequest], new_jobs: Sequence[NewJob], owner: Owner
    ) -> list[CreateResult]:
        """Lets the jobs into their queues. Where one is full, returns the jobs that earlier calls
        created, if that is all of them; nothing otherwise.

        Raises:
            QueueFull: there is no room in a queue, and a job is new.
            RequestIdReused, JobNotOwned: as `create`.
        """
        counts = Counter(new.options.queue for new in new_jobs)
        try:
            for name, count in counts.items():
                if name in self._checks.limited:
                    await self._waiting_limit.let_in(name, count, self._checks.limited[name])
        except QueueFull:
            repeated = await find_repeated(self._store, requests, owner)
            if len(repeated) < len(requests):
                raise
            return [repeated[index] for index in range(len(requests))]
        return []

    async def create(self, request: JobRequest, owner: Owner) -> CreateResult:
        """Creates a job, or returns the one that an earlier call created.

        Raises: as `JobChecks.check`, and
            RequestIdReused: the request id was used for another spec.
            UniqueKeyTaken: the unique key is held, and the request wants to fail then.
            JobNotOwned: the existing job is somebody else's.
            InvalidRequest: the job would expire before it may first run.
            DatabaseUnavailable: it may or may not have been created.
        """
        checked = await self._checks.check([request], owner)
        if self._checks.limited and (repeated := await self._let_in([request], checked, owner)):
            return repeated[0]
        async with self._spans.sending(checked) as new_jobs:
            # A taken key would undo the whole batch that it shares, so keys are looked up first.
            if request.unique_key is None:
                written = await self._store.jobs.create(new_jobs[0])
                if written is not None:
                    created = _created(new_jobs[0], written)
                    self._tell([created])
                    return created
            (result,) = await self._create_or_find([request], new_jobs, owner)
            return result

    async def check_each(self, asked: Sequence[Asked]) -> list[NewJob | JobsvcError]:
        """Checks each job for itself. Returns for each what `create` raises without writing, or
        what is to be written; the ids are in their order."""
        return await self._checks.check_each([(each.request, each.owner) for each in asked])

    async def create_each(
        self, asked: Sequence[Asked], checked: Sequence[NewJob], alone: asyncio.Semaphore
    ) -> list[CreateResult | Exception]:
        """Creates each job for itself, as `check_each` returned them. Returns for each what
        `create` returns or raises. `alone` bounds the transactions that one caller has at a
        time."""
        results: dict[int, CreateResult | Exception] = {}
        async with self._spans.sending(checked, [each.context for each in asked]) as new_jobs:
            # Keys and room are looked up for each, in a transaction of its own.
            together = [
                index
                for index, new in enumerate(new_jobs)
                if new.unique_key is None and new.options.queue not in self._checks.limited
            ]
            written = await self._store.jobs.create_each([new_jobs[index] for index in together])
            created: list[CreateResult] = []
            for index, result in zip(together, written, strict=True):
                if isinstance(result, Exception):
                    results[index] = result
                elif result is not None:
                    created.append(_created(new_jobs[index], result))
                    results[index] = created[-1]
            self._tell(created)
            not_new = [index for index in together if index not in results]
            async with alone if not_new else nullcontext():
                results |= await self._find_repeated([(index, asked[index]) for index in not_new])
            rest = [index for index in range(len(asked)) if index not in results]
            ends = await asyncio.gather(
                *(self._create_alone(asked[index], new_jobs[index], alone) for index in rest)
            )
            results |= zip(rest, ends, strict=True)
        return [results[index] for index in range(len(asked))]

    async def _find_repeated(self, asked: Sequence[tuple[int, Asked]]) -> dict[int, CreateResult]:
        """The jobs of earlier calls, by index, as far as nothing is wrong with any of their owner.
        After a broken stream they are many."""
        found: dict[int, CreateResult] = {}
        for owner in {each.owner for _, each in asked}:
            of_owner = [(index, each.request) for index, each in asked if each.owner == owner]
            with suppress(JobsvcError):  # Looked for one by one then.
                repeated = await find_repeated(self._store, [r for _, r in of_owner], owner)
                found |= {of_owner[at][0]: result for at, result in repeated.items()}
        return found

    async def _create_alone(
        self, asked: Asked, new: NewJob, alone: asyncio.Semaphore
    ) -> CreateResult | Exception:
        async with alone, self._alone:
            try:
                if self._checks.limited and (
                    repeated := await self._let_in([asked.request], [new], asked.owner)
                ):
                    return repeated[0]
                (result,) = await self._create_or_find([asked.request], [new], asked.owner)
            except Exception as error:
                return error
            return result

    async def preview(self, requests: Sequence[JobRequest], owner: Owner) -> list[CreateResult]:
        """The results that `create_all` would have; creates nothing. Raises as `create`."""
        checked = await self._checks.check(requests, owner)
        if self._checks.limited and (repeated := await self._let_in(requests, checked, owner)):
            return repeated
        resolution = await create_or_find(
            self._store, self._settings, requests, checked, owner, dry_run=True
        )
        return resolution.results

    async def create_all(self, requests: Sequence[JobRequest], owner: Owner) -> list[CreateResult]:
        """Creates all jobs in one transaction, or none. Raises as `create`."""
        checked = await self._checks.check(requests, owner)
        if self._checks.limited and (repeated := await self._let_in(requests, checked, owner)):
            return repeated
        async with self._spans.sending(checked) as new_jobs:
            if any(r.unique_key or r.request_id for r in requests) or any(
                new.options.may_expire for new in new_jobs
            ):
                return await self._create_or_find(requests, new_jobs, owner)
            # Nothing but the removal of its queue can keep a job from being written: one statement
            # will do.
            create_time = await self._store.jobs.create_unnamed(new_jobs)
            if create_time is None:
                return await self._create_or_find(requests, new_jobs, owner)
            results: list[CreateResult] = [Created(new, create_time) for new in new_jobs]
            self._tell(results)
            return results

    async def _create_or_find(
        self, requests: Sequence[JobRequest], new_jobs: Sequence[NewJob], owner: Owner
    ) -> list[CreateResult]:
        resolution = await create_or_find(self._store, self._settings, requests, new_jobs, owner)
        self._measured.expired((job.queue, job.reason) for job in resolution.expired)
        self._tell(resolution.results, [job.job_id for job in resolution.expired])
        return resolution.results

    def _tell(self, results: Sequence[CreateResult], ended: Sequence[str] = ()) -> None:
        """Tells all replicas which queues have ready jobs, which jobs have ended and, if somebody
        watches, which are new, and starts timers for jobs that are due later."""
        ready: dict[str, None] = {}
        made = [r for r in results if isinstance(r, Created)]
        self._measured.created(r.new.options.queue for r in made)
        self._measured.born_leased(r.new.options.queue for r in made if r.leased)
        # Most jobs of a batch share one options object.
        waiting = (r for r in made if not r.leased)
        for created in {id(r.new.options): r for r in waiting}.values():
            options, now = created.new.options, created.create_time
            delay = options.run_time(now) - now
            if delay:
                self._on_due(options.queue, delay.total_seconds())
            else:
                ready[options.queue] = None
        if self._hints.are_jobs_watched:
            ended = [*ended, *(r.new.id for r in made)]
        if ready or ended:
            self._hints.tell(ended, ready)


def _created(new: NewJob, written: datetime | BornLeased) -> Created:
    if isinstance(written, BornLeased):
        return Created(new, written.create_time, leased=True)
    return Created(new, written)
