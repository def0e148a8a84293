"""Creating jobs: defaults filled in, payloads checked, written, made known."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import msgspec
from opentelemetry import trace

from jobsvc import telemetry
from jobsvc.domain.created_job import Created, CreateResult
from jobsvc.domain.errors import PayloadRejected
from jobsvc.domain.job import JobOptions, NewJob
from jobsvc.domain.job_id import new_job_ids
from jobsvc.domain.job_request import JobRequest, RequestedOptions, resolve
from jobsvc.domain.owner import Owner
from jobsvc.domain.queue import Queue
from jobsvc.domain.run_policy import server_defaults
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.jobs.conflicts import Placing
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

#: Queues whose last options are kept.
_MAX_RESOLVED = 1000


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
        self._defaults = server_defaults(settings)
        self._tracer = tracer
        self._placing = Placing(store)
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
        time_slice = TimeSlice()
        for request, job_id in zip(requests, new_job_ids(len(requests)), strict=True):
            if options is None or request.options is not asked:
                asked = request.options
                with request.placed():
                    queue = await self._catalog.queue(asked.queue)
                options = self._resolve(asked, queue)
                schema = queue.input_schema_id and await self._catalog.schema(queue.input_schema_id)
            if schema:
                found = schema.violations(
                    request.payload, request.input_path, len(request.input or "")
                )
                if found:
                    raise PayloadRejected(found, **request.place)
                if time_slice.used_up:
                    await time_slice.yield_()
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
        options = resolve(asked, queue, self._defaults)
        if len(self._resolved) >= _MAX_RESOLVED:
            self._resolved.clear()
        self._resolved[queue.name] = asked, queue, options
        return options

    async def create(self, request: JobRequest, owner: Owner) -> CreateResult:
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
                    made = Created(news[0], create_time)
                    self._make_known([made])
                    return made
            (answer,) = await self._placing.place([request], news, owner)
            self._make_known([answer])
            return answer

    async def preview(self, requests: Sequence[JobRequest], owner: Owner) -> list[CreateResult]:
        """What `create_all` would answer, without creating anything. Raises as `create`."""
        checked = await self.check(requests, owner)
        return await self._placing.place(requests, checked, owner, keep=False)

    async def create_all(self, requests: Sequence[JobRequest], owner: Owner) -> list[CreateResult]:
        """Creates all jobs in one transaction, or none. Raises as `create`."""
        checked = await self.check(requests, owner)
        with self._sending(checked) as news:
            answers: list[CreateResult]
            if any(r.unique_key or r.request_id for r in requests):
                answers = await self._placing.place(requests, news, owner)
            else:
                # Nothing can stand in their way: one statement will do.
                create_time = await self._store.jobs.create_unnamed(news)
                answers = [Created(new, create_time) for new in news]
            self._make_known(answers)
            return answers

    def _make_known(self, answers: Sequence[CreateResult]) -> None:
        ready: dict[str, None] = {}
        # Most of a batch share their options.
        for made in {id(a.new.options): a for a in answers if isinstance(a, Created)}.values():
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


def _in_context(new: NewJob, traceparent: str, tracestate: str) -> NewJob:
    return msgspec.structs.replace(new, traceparent=traceparent, tracestate=tracestate)
