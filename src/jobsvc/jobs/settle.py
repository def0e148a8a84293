"""Reported outcomes become ends of leases: looked up, checked, decided, written, made known."""

import random
import time
from collections.abc import Callable, Sequence

import msgspec
from google.rpc import code_pb2
from opentelemetry import trace

from jobsvc import telemetry
from jobsvc.domain.errors import InvalidRequest, JobsvcError, LeaseLost, Violation
from jobsvc.domain.job import JobError, JobState
from jobsvc.domain.lease import LeaseId, LeaseTerms
from jobsvc.domain.lease_end import End, Requeued
from jobsvc.domain.outcome import (
    OUTPUT_REJECTED,
    Cancelled,
    Failure,
    Finish,
    Lapse,
    Outcome,
    Requeue,
    Success,
    decide,
)
from jobsvc.domain.payload import parse_payload
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store

#: Several polls: time for every follower to read a terminal status.
_LEAST_KEEP_SECONDS = 60.0


class Report(msgspec.Struct, frozen=True):
    """A worker's word on how an attempt ended; `held` are the terms of the lease, if at hand."""

    id: LeaseId
    outcome: Outcome
    held: LeaseTerms | None = None


class Settlement:
    """Ends leases, on outcomes that workers report and on the word of upkeep."""

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

    async def report(
        self,
        reports: Sequence[Report],
        worker_id: str,
    ) -> list[JobsvcError | Exception | None]:
        """Records outcomes. None for each that is committed, otherwise its error.

        An outcome that is on record already, word for word, counts as committed.
        `worker_id` empty means any.

        Errors: `LeaseLost`; `InvalidRequest` for a cancellation that nobody asked
        for; `DatabaseUnavailable`: report it again.
        """
        # Somebody may have asked to cancel since the terms were read; a success does not mind.
        unsure = [r.id for r in reports if r.held is None or not isinstance(r.outcome, Success)]
        read = await self._store.leases.read(unsure) if unsure else {}
        answers: list[JobsvcError | Exception | None] = [None] * len(reports)
        ends: list[tuple[int, LeaseTerms, Outcome, End]] = []
        lost: list[int] = []
        time_slice = TimeSlice()
        for index, report in enumerate(reports):
            held = report.held if isinstance(report.outcome, Success) else None
            if held is None:
                held = read.get(report.id)
            if held is None or (worker_id and held.worker_id != worker_id):
                lost.append(index)
            elif isinstance(report.outcome, Cancelled) and not held.cancel_requested:
                answers[index] = InvalidRequest(
                    [Violation("cancelled", "nobody asked to cancel the job; fail or release it")]
                )
            else:
                outcome = report.outcome
                if held.output_schema_id is not None and isinstance(outcome, Success):
                    outcome = await self._checked(outcome, held.output_schema_id)
                    if time_slice.used_up:
                        await time_slice.yield_()
                spread = 0.0 if isinstance(outcome, Success) else random.uniform(-1, 1)
                verdict = decide(held, outcome, spread)
                ends.append((index, held, outcome, self._end(report.id, held, verdict)))
        for (index, _, _, _), error in zip(ends, await self._write(ends), strict=True):
            if isinstance(error, LeaseLost):
                lost.append(index)
            else:
                answers[index] = error
        if lost:
            recorded = await self._store.lease_ends.were_recorded(
                [(reports[i].id, reports[i].outcome) for i in lost]
            )
            for index, known_already in zip(lost, recorded, strict=True):
                answers[index] = None if known_already else LeaseLost(reports[index].id)
        return answers

    async def lapse(self, lapses: Sequence[tuple[LeaseTerms, Lapse, End]]) -> list[LeaseId]:
        """Writes ends that nobody reported; answers with the leases that they did end."""
        ends = [(i, held, cause, end) for i, (held, cause, end) in enumerate(lapses)]
        errors = await self._write(ends)
        return [end.id for (_, _, _, end), e in zip(ends, errors, strict=True) if e is None]

    def _end(self, lease_id: LeaseId, held: LeaseTerms, verdict: Finish | Requeue) -> End:
        failed = isinstance(verdict, Finish) and verdict.state is not JobState.COMPLETED
        return End(lease_id, verdict, keep_seconds(held, failed, self._settings))

    async def _checked(self, outcome: Success, schema_id: int) -> Outcome:
        """The outcome; a failure instead if its output does not fit the schema of the queue."""
        schema = await self._catalog.schema(schema_id)
        text = outcome.output or "{}"
        found = schema.violations(parse_payload(text), "output", len(text))
        if not found:
            return outcome
        message = "; ".join(f"{v.field}: {v.description}" for v in found)[:4096]
        return Failure(JobError(code_pb2.INTERNAL, OUTPUT_REJECTED, message))

    async def _write(
        self, ends: Sequence[tuple[int, LeaseTerms, Outcome | Lapse, End]]
    ) -> list[Exception | None]:
        began = time.time_ns()
        results = await self._store.lease_ends.ends.submit([end for _, _, _, end in ends])
        errors: list[Exception | None] = []
        moved, ready = [], []
        for (_, held, cause, end), result in zip(ends, results, strict=True):
            if isinstance(result, Exception):
                errors.append(result)
                continue
            if result is False:
                errors.append(LeaseLost(end.id))
                continue
            errors.append(None)
            moved.append(end.id.job_id)
            if isinstance(result, Requeued) and isinstance(end.verdict, Requeue):
                if end.verdict.delay_seconds > 0:
                    self._on_due(result.queue, end.verdict.delay_seconds)
                else:
                    ready.append(result.queue)
            if self._traced and held.traceparent:
                self._trace(held, cause, end, began)
        self._hints.tell(moved, dict.fromkeys(ready))
        return errors

    def _trace(self, held: LeaseTerms, cause: Outcome | Lapse, end: End, began: int) -> None:
        """A `settle` span in the trace of the job, from `began` (nanoseconds) until now."""
        span = self._tracer.start_span(
            f"settle {held.queue}",
            context=telemetry.parent(held.traceparent, held.tracestate),
            kind=trace.SpanKind.INTERNAL,
            start_time=began,
            attributes=telemetry.messaging_attributes("settle", held.queue, end.id.job_id),
        )
        if span.is_recording():
            verdict = end.verdict
            state = verdict.state if isinstance(verdict, Finish) else JobState.PENDING
            span.set_attribute(telemetry.JOB_ATTEMPT, held.attempt)
            span.set_attribute(telemetry.JOB_STATE, state.name)
            span.set_attribute(telemetry.WORKER_ID, held.worker_id)
            if isinstance(cause, Lapse):
                span.set_attribute(telemetry.ERROR_TYPE, cause.value)
            elif isinstance(cause, Failure):
                span.set_attribute(
                    telemetry.ERROR_TYPE, cause.error.reason or code_pb2.Code.Name(cause.error.code)
                )
        span.end()


def keep_seconds(held: LeaseTerms, failed: bool, settings: Settings) -> float:
    """How long an ended job is kept: as asked, as long as its request id must be known, and so long
    that whoever follows it sees its end. expire_jobs.sql says the same of jobs that expire."""
    asked = held.retention_seconds
    if asked is None:
        asked = settings.failed_retention_seconds if failed else settings.retention_seconds
    return max(asked, settings.request_id_seconds if held.has_request else _LEAST_KEEP_SECONDS)
