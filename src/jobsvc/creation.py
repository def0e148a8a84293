"""Creating jobs: defaults filled in, payloads checked, and every conflict with an earlier job
resolved before anything is confirmed."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import msgspec
from opentelemetry import trace

from jobsvc import telemetry
from jobsvc.catalog import Catalog
from jobsvc.created import Answer, Found, Made
from jobsvc.errors import (
    DatabaseUnavailable,
    JobsvcError,
    PayloadRejected,
    RequestIdReused,
    UniqueKeyTaken,
)
from jobsvc.job import Job, JobOptions, NewJob, Owner, new_job_ids
from jobsvc.job_request import JobRequest, RequestedOptions, resolve
from jobsvc.ownership import check_owner
from jobsvc.queue import Queue
from jobsvc.settings import Settings
from jobsvc.store.database import Connection
from jobsvc.store.hints import Hints
from jobsvc.store.jobs import KeyTaken
from jobsvc.store.store import Store
from jobsvc.turns import Turns

_TRIES = 5
#: Queues whose last options are kept.
_MOST_RESOLVED = 1000


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
    ) -> None:
        """`on_due(queue, seconds)` is called for a job that becomes ready after a delay."""
        self._store = store
        self._catalog = catalog
        self._hints = hints
        self._on_due = on_due
        self._settings = settings
        self._tracer = tracer
        self._traced = telemetry.is_traced()
        #: Of each queue: what was asked for last, the queue then, and what came of both.
        self._resolved: dict[str, tuple[RequestedOptions, Queue, JobOptions]] = {}

    async def check(self, requests: Sequence[JobRequest], owner: Owner) -> list[NewJob]:
        """Everything about requests that can be checked without writing.

        Raises:
            QueueNotFound: unknown queue.
            PayloadRejected: an input does not fit the schema of its queue.
        """
        news = []
        # Most requests of a batch have the options of the one before.
        asked, options, schema = None, None, None
        turns = Turns()
        for request, job_id in zip(requests, new_job_ids(len(requests)), strict=True):
            if options is None or request.options is not asked:
                asked = request.options
                with _placed(request):
                    queue = await self._catalog.queue(asked.queue)
                options = self._resolve(asked, queue)
                schema = queue.input_schema_id and await self._catalog.schema(queue.input_schema_id)
            if schema:
                found = schema.violations(
                    request.payload, request.input_path, len(request.input or "")
                )
                if found:
                    raise PayloadRejected(found, **request.place)
                if turns.due:
                    await turns.give()
            news.append(
                NewJob(
                    job_id,
                    options,
                    owner,
                    request.input,
                    request.unique_key,
                    request.request_id,
                    request.request_digest,
                )
            )
        return news

    def _resolve(self, asked: RequestedOptions, queue: Queue) -> JobOptions:
        last = self._resolved.get(queue.name)
        if last is not None and last[0] is asked and last[1] is queue:
            return last[2]
        options = resolve(asked, queue, self._settings)
        if len(self._resolved) >= _MOST_RESOLVED:
            self._resolved.clear()
        self._resolved[queue.name] = asked, queue, options
        return options

    async def create(self, request: JobRequest, owner: Owner) -> Answer:
        """Creates a job, or answers with the one that is there already.

        Raises: as `check`, and
            RequestIdReused: the request id was used for another spec.
            UniqueKeyTaken: the unique key is held, and the request wants to fail then.
            JobNotOwned: the job that is there is somebody else's.
            DatabaseUnavailable: it may or may not have been created.
        """
        checked = await self.check([request], owner)
        with self._sending(checked) as news:
            # A taken key would undo the whole batch that it shares, so keys are looked up first.
            if request.unique_key is None:
                create_time = await self._store.jobs.create(news[0])
                if create_time is not None:
                    made = Made(news[0], create_time)
                    self._make_known([made])
                    return made
            return (await self._place([request], news, owner))[0]

    async def preview(self, requests: Sequence[JobRequest], owner: Owner) -> list[Answer]:
        """What `create_all` would answer, without creating anything. Raises as `create`."""
        checked = await self.check(requests, owner)
        return await self._place(requests, checked, owner, keep=False)

    async def create_all(self, requests: Sequence[JobRequest], owner: Owner) -> list[Answer]:
        """Creates all jobs in one transaction, or none. Raises as `create`."""
        checked = await self.check(requests, owner)
        with self._sending(checked) as news:
            if any(r.unique_key or r.request_id for r in requests):
                return await self._place(requests, news, owner)
            # Nothing can stand in their way: one statement will do.
            create_time = await self._store.jobs.create_unnamed(news)
            made = [Made(new, create_time) for new in news]
            self._make_known(made)
            return list[Answer](made)

    async def _place(
        self,
        requests: Sequence[JobRequest],
        news: Sequence[NewJob],
        owner: Owner,
        keep: bool = True,
    ) -> list[Answer]:
        for _ in range(_TRIES):
            try:
                answers = await self._try_to_place(requests, news, owner, keep)
            except _NotKept as done:
                return done.answers
            except (KeyTaken, _InBetween):
                # Another call took a key, or what stood in the way ended: look again.
                continue
            self._make_known([answer for answer in answers if isinstance(answer, Made)])
            return answers
        raise DatabaseUnavailable("other calls came in between every time; try again")

    async def _try_to_place(
        self, requests: Sequence[JobRequest], news: Sequence[NewJob], owner: Owner, keep: bool
    ) -> list[Answer]:
        answers: dict[int, Answer] = {}
        twins: dict[int, int] = {}
        first_of: dict[tuple[str, str], int] = {}
        async with self._store.database.transaction() as connection:
            keys = {
                index: (request.options.queue, request.unique_key)
                for index, request in enumerate(requests)
                if request.unique_key is not None
            }
            holders = await self._key_holders(set(keys.values()), connection) if keys else {}
            for index, key in keys.items():
                request, first = requests[index], first_of.setdefault(key, index)
                if first != index and not _same_call(requests[first], request):
                    if request.options.fail_if_taken:
                        raise UniqueKeyTaken(key[1], news[first].id, **request.place)
                    twins[index] = first
                elif key in holders and (found := _found(request, holders[key], owner)):
                    answers[index] = found
            todo = [i for i in range(len(requests)) if i not in answers and i not in twins]
            missing = []
            if todo:
                written = await self._store.jobs.create_all(connection, [news[i] for i in todo])
                for index, create_time in zip(todo, written, strict=True):
                    if create_time is None:
                        missing.append(index)
                    else:
                        answers[index] = Made(news[index], create_time)
            if missing:
                ids = {i: (owner.service, _request_id(requests[i])) for i in missing}
                made = await self._store.jobs.find_requests(list(ids.values()), connection)
                jobs = await self._store.jobs.read(
                    list(set(made.values())), False, False, connection
                )
                for index, request_id in ids.items():
                    job = jobs.get(made[request_id]) if request_id in made else None
                    if job is None:
                        raise _InBetween
                    with _placed(requests[index]):
                        check_owner(owner, job)
                    if job.request_digest != requests[index].request_digest:
                        raise RequestIdReused(request_id[1], **requests[index].place)
                    answers[index] = Found(job)
            for index, first in twins.items():
                answers[index] = Found(answers[first].job)
            in_order = [answers[index] for index in range(len(requests))]
            if not keep:
                raise _NotKept(in_order)
        return in_order

    async def _key_holders(
        self, keys: set[tuple[str, str]], connection: Connection
    ) -> dict[tuple[str, str], Job]:
        """The jobs that hold these pairs of queue and unique key; free ones are missing."""
        holders = await self._store.jobs.find_key_holders(keys, connection)
        if not holders:
            return {}
        jobs = await self._store.jobs.read(list(holders.values()), False, False, connection)
        if any(i not in jobs or jobs[i].status.state.ended for i in holders.values()):
            raise _InBetween
        return {key: jobs[job_id] for key, job_id in holders.items()}

    def _make_known(self, answers: Sequence[Made]) -> None:
        ready: dict[str, None] = {}
        # Most of a batch share their options.
        for made in {id(made.new.options): made for made in answers}.values():
            options, now = made.new.options, made.create_time
            delay = options.run_time(now) - now
            if delay:
                self._on_due(options.queue, delay.total_seconds())
            else:
                ready[options.queue] = None
        if ready:
            self._hints.tell(ready=ready)

    @contextmanager
    def _sending(self, news: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
        """The jobs with the contexts of their `send` spans, of which every later span is a child.

        The spans last as long as the block.
        """
        if not self._traced:
            caller = trace.get_current_span()
            if caller.get_span_context().is_valid:
                # The caller's own context goes with the job all the same.
                traceparent, tracestate = telemetry.headers(caller)
                news = [_in_context(new, traceparent, tracestate) for new in news]
            yield news
            return
        with ExitStack() as ends:
            traced = []
            for new in news:
                span = self._tracer.start_span(
                    f"send {new.options.queue}",
                    kind=trace.SpanKind.PRODUCER,
                    attributes=telemetry.messaging_attributes("send", new.options.queue, new.id),
                )
                ends.callback(span.end)
                traceparent, tracestate = telemetry.headers(span)
                traced.append(_in_context(new, traceparent, tracestate))
            yield traced


class _InBetween(Exception):
    """What stood in the way was gone when it was looked for."""


class _NotKept(Exception):
    """Rolls back what was placed for a preview, and carries its answers."""

    def __init__(self, answers: list[Answer]) -> None:
        super().__init__()
        self.answers = answers


@contextmanager
def _placed(request: JobRequest) -> Iterator[None]:
    """Adds to an error which item of a batch it is about."""
    try:
        yield
    except JobsvcError as error:
        error.metadata.update(request.place)
        raise


def _in_context(new: NewJob, traceparent: str, tracestate: str) -> NewJob:
    return msgspec.structs.replace(new, traceparent=traceparent, tracestate=tracestate)


def _found(request: JobRequest, holder: Job, owner: Owner) -> Found | None:
    """The answer to a request whose unique key is held; None when that is by itself."""
    if request.request_id is not None and holder.request_id == request.request_id:
        return None  # This very call, repeated: found again by its request id.
    if request.options.fail_if_taken:
        raise UniqueKeyTaken(request.unique_key or "", holder.id, **request.place)
    with _placed(request):
        check_owner(owner, holder)
    return Found(holder)


def _same_call(one: JobRequest, other: JobRequest) -> bool:
    return one.request_id is not None and one.request_id == other.request_id


def _request_id(request: JobRequest) -> str:
    assert request.request_id is not None, "only a request id can be taken"
    return request.request_id
