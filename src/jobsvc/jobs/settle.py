"""Turns reported outcomes into ends of leases: sorts, checks, decides, writes, tells replicas."""

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import msgspec
from google.rpc import code_pb2
from opentelemetry import trace

from jobsvc import telemetry
from jobsvc.domain.end_reason import end_reason
from jobsvc.domain.errors import InvalidRequest, JobsvcError, LeaseLost, Violation
from jobsvc.domain.job import JobError, JobState, JobStatus, NewStatus
from jobsvc.domain.lapse import Lapse
from jobsvc.domain.lease import LeaseId, LeaseTerms
from jobsvc.domain.lease_end import End, Progress, Requeued
from jobsvc.domain.limits import MAX_ERROR_CHARACTERS
from jobsvc.domain.outcome import (
    OUTCOME_REJECTED,
    OUTPUT_REJECTED,
    Cancelled,
    Failure,
    Finish,
    Outcome,
    Requeue,
    Success,
    decide,
)
from jobsvc.domain.payload import parse_payload
from jobsvc.domain.retention import keep_seconds
from jobsvc.domain.schema import RefusedSchema, Schema
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.queues.catalog import Catalog
from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.telemetry.jobs import JobMeasurements, Timed
from jobsvc.telemetry.measurements import Measurements

log = logging.getLogger(__name__)


class Report(msgspec.Struct, frozen=True):
    """A worker's report on how an attempt ended; `terms` are those of its lease, if known.

    `progress` is no part of the outcome: a report that differs in nothing else is the same.
    """

    id: LeaseId
    outcome: Outcome
    terms: LeaseTerms | None = None
    progress: Progress | None = None


class DecidedEnd(msgspec.Struct, frozen=True):
    """The end of a lease under `terms`, as decided because of `cause`."""

    terms: LeaseTerms
    cause: Outcome | Lapse
    end: End


class SortedReports(msgspec.Struct, frozen=True):
    """Indexes of reports, each in one of three: to be decided under the terms of its lease,
    refused, or under a lease that is not current any more."""

    current: dict[int, LeaseTerms]
    refused: dict[int, InvalidRequest]
    lost: list[int]


def sort_reports(
    reports: Sequence[Report], terms_read: Mapping[LeaseId, LeaseTerms], worker_id: str
) -> SortedReports:
    """Decides which reports count. Pure. `worker_id` empty means any.

    A success counts under the terms that it brings; every other outcome under those just read,
    because a cancellation may have been requested since.
    """
    current: dict[int, LeaseTerms] = {}
    refused: dict[int, InvalidRequest] = {}
    lost: list[int] = []
    # A single loop, without calls: it runs for every outcome of every job.
    for index, report in enumerate(reports):
        outcome = report.outcome
        terms = report.terms if isinstance(outcome, Success) else None
        if terms is None:
            terms = terms_read.get(report.id)
        if terms is None or (worker_id and terms.worker_id != worker_id):
            lost.append(index)
        elif isinstance(outcome, Cancelled) and not terms.cancel_requested:
            refused[index] = InvalidRequest(
                [Violation("cancelled", "nobody asked to cancel the job; fail or release it")]
            )
        else:
            current[index] = terms
    return SortedReports(current, refused, lost)


def decide_end(
    lease_id: LeaseId,
    terms: LeaseTerms,
    outcome: Outcome,
    settings: Settings,
    spread: float,
    progress: Progress | None = None,
) -> DecidedEnd:
    """The end of a lease on a reported outcome. Pure; `spread` as in `decide`."""
    verdict = decide(terms, outcome, spread)
    failed = isinstance(verdict, Finish) and verdict.state is not JobState.COMPLETED
    keep = keep_seconds(terms, failed, settings)
    return DecidedEnd(terms, outcome, End(lease_id, verdict, keep, None, progress))


def check_output(success: Success, schema: Schema | RefusedSchema) -> Outcome:
    """The success, or a failure instead if its output does not fit the schema. Pure."""
    text = success.output or "{}"
    found = schema.violations(parse_payload(text), "output", text)
    if not found:
        return success
    message = "; ".join(f"{v.field}: {v.description}" for v in found)
    error = JobError(code_pb2.INTERNAL, OUTPUT_REJECTED, message[:MAX_ERROR_CHARACTERS])
    return Failure(error)


class Settlement:
    """Ends leases: on reports of workers, and because of lapses."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        hints: Hints,
        on_due: Callable[[str, float], None],
        settings: Settings,
        tracer: trace.Tracer,
        measurements: Measurements | None = None,
        is_followed: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`on_due(queue, seconds)` is called for a job that becomes ready after a delay;
        `is_followed` says whether somebody here waits for the status of a job."""
        self._store = store
        self._catalog = catalog
        self._hints = hints
        self._on_due = on_due
        self._settings = settings
        self._tracer = tracer
        self._traced = telemetry.is_traced()
        self._measured = JobMeasurements(measurements)
        self._is_followed = is_followed

    async def report(self, reports: Sequence[Report], worker_id: str) -> list[Exception | None]:
        """Records outcomes. Returns None for each that is committed, otherwise its error.

        An outcome that is on record already, word for word, counts as committed.
        `worker_id` empty means any.

        Errors: `LeaseLost`; `InvalidRequest` for a cancellation that nobody asked
        for; `DatabaseUnavailable`: report it again; any other: a defect, told in the log.
        """
        unsure = [r.id for r in reports if r.terms is None or not isinstance(r.outcome, Success)]
        terms_read = await self._store.leases.read(unsure) if unsure else {}
        found = sort_reports(reports, terms_read, worker_id)
        errors: list[Exception | None] = [None] * len(reports)
        for index, refusal in found.refused.items():
            errors[index] = refusal
        lost = await self._end(reports, found.current, errors)
        if lost:
            lost = await self._end_cancelled(reports, lost, errors)
        for index in await self._unrecorded(reports, [*found.lost, *lost]):
            errors[index] = LeaseLost(reports[index].id)
        return errors

    async def _end(
        self,
        reports: Sequence[Report],
        current: Mapping[int, LeaseTerms],
        errors: list[Exception | None],
    ) -> list[int]:
        """Decides and writes. Returns those whose lease is lost, and sets the other errors."""
        lost = []
        decided = await self._decide(reports, current, errors)
        for index, error in zip(decided, await self._write(list(decided.values())), strict=True):
            if isinstance(error, LeaseLost):
                lost.append(index)
            else:
                errors[index] = error
        return lost

    async def _end_cancelled(
        self, reports: Sequence[Report], lost: Sequence[int], errors: list[Exception | None]
    ) -> list[int]:
        """Ends those leases after all that only seemed lost: the cancellation of their job was
        requested after their terms were read, so that it could not go back to its queue. Returns
        the others."""
        terms = await self._store.leases.read([reports[index].id for index in lost])
        cancelled = {
            index: of_lease
            for index in lost
            if (of_lease := terms.get(reports[index].id)) and of_lease.cancel_requested
        }
        others = [index for index in lost if index not in cancelled]
        return others + await self._end(reports, cancelled, errors)

    async def _decide(
        self,
        reports: Sequence[Report],
        current: Mapping[int, LeaseTerms],
        errors: list[Exception | None],
    ) -> dict[int, DecidedEnd]:
        """The ends that these reports bring about, by index, outputs checked against their schemas.
        What cannot be decided has its error in `errors`."""
        decided: dict[int, DecidedEnd] = {}
        last: DecidedEnd | None = None
        time_slice = TimeSlice()
        for index, terms in current.items():
            report = reports[index]
            outcome = report.outcome
            # Successes without an output are one object: under the same terms they end alike.
            if last is not None and outcome is last.cause and terms is last.terms:
                verdict, keep = last.end.verdict, last.end.retention_seconds
                end = End(report.id, verdict, keep, None, report.progress)
                decided[index] = DecidedEnd(terms, outcome, end)
                continue
            try:
                if terms.output_schema_id is not None and isinstance(outcome, Success):
                    schema = await self._catalog.schema(terms.output_schema_id)
                    if time_slice.used_up or schema.may_take_long(outcome.output or ""):
                        await time_slice.yield_()
                    outcome = check_output(outcome, schema)
                spread = 0.0 if isinstance(outcome, Success) else random.uniform(-1, 1)
                last = decided[index] = decide_end(
                    report.id, terms, outcome, self._settings, spread, report.progress
                )
            except Exception as error:
                if not isinstance(error, JobsvcError):
                    log.exception("the outcome under lease %s cannot be decided", report.id)
                errors[index] = error
        return decided

    async def _unrecorded(self, reports: Sequence[Report], lost: Sequence[int]) -> list[int]:
        """Returns the lost reports whose outcome is not recorded under exactly their lease."""
        if not lost:
            return []
        outcomes = [(reports[index].id, reports[index].outcome) for index in lost]
        recorded = await self._store.lease_ends.were_recorded(outcomes)
        return [index for index, known in zip(lost, recorded, strict=True) if not known]

    async def lapse(self, lapses: Sequence[DecidedEnd]) -> list[LeaseId]:
        """Writes ends that nobody reported, and returns the leases that did end."""
        errors = await self._write(lapses)
        return [d.end.id for d, error in zip(lapses, errors, strict=True) if error is None]

    async def _write(self, decided: Sequence[DecidedEnd]) -> list[Exception | None]:
        """Writes ends, and tells all replicas of them. Returns an error or None for each."""
        began = time.time_ns()
        ends = [
            msgspec.structs.replace(end, with_status=True)
            if self._is_followed((end := d.end).id.job_id)
            else end
            for d in decided
        ]
        results = await self._store.lease_ends.ends.submit(ends)
        known: dict[str, NewStatus] = {}
        errors: list[Exception | None] = []
        moved, ready = [], []
        now, completed = time.monotonic(), defaultdict[str, list[Timed]](list)
        for d, result in zip(decided, results, strict=True):
            end = d.end
            if isinstance(result, Exception):
                errors.append(result)
                continue
            if result is False:
                errors.append(LeaseLost(end.id))
                continue
            errors.append(None)
            moved.append(job_id := end.id.job_id)
            if isinstance(result, JobStatus):
                known[job_id] = NewStatus(job_id, d.terms.queue, result, result.update_time)
            stored = result if isinstance(result, Finish) else end.verdict
            if isinstance(stored, Finish) and stored.state is JobState.COMPLETED:
                run = now - d.terms.lease_time, d.terms.traceparent
                completed[d.terms.queue].append(run)
            else:
                self._measure(d.terms, stored, now)
            if isinstance(result, Requeued) and isinstance(end.verdict, Requeue):
                if end.verdict.delay_seconds > 0:
                    self._on_due(result.queue, end.verdict.delay_seconds)
                else:
                    ready.append(result.queue)
            if self._traced and d.terms.traceparent:
                self._trace(d, began, stored)
        for queue, runs in completed.items():
            self._measured.completed(queue, runs)
        self._hints.tell(moved, dict.fromkeys(ready), known=known)
        return errors

    def _measure(self, terms: LeaseTerms, stored: Finish | Requeue, now: float) -> None:
        """Records an end that is no success."""
        run = now - terms.lease_time, terms.traceparent
        if isinstance(stored, Finish):
            reason = end_reason(stored.error)
            self._measured.ended(terms.queue, stored.state.name, reason, run)
        elif stored.attempt_used:
            self._measured.retried(terms.queue, end_reason(stored.error), run)
        else:
            self._measured.released(terms.queue)

    def _trace(self, decided: DecidedEnd, began: int, stored: Finish | Requeue) -> None:
        """Adds a `settle` span to the trace of the job, from `began` (nanoseconds) until now. What
        was `stored` may not be as decided."""
        terms, cause, end = decided.terms, decided.cause, decided.end
        span = self._tracer.start_span(
            f"settle {terms.queue}",
            context=telemetry.parent(terms.traceparent, terms.tracestate),
            kind=trace.SpanKind.CLIENT,
            start_time=began,
            attributes=telemetry.messaging_attributes("settle", terms.queue, end.id.job_id),
        )
        if span.is_recording():
            state = stored.state if isinstance(stored, Finish) else JobState.PENDING
            span.set_attribute(telemetry.JOB_ATTEMPT, terms.attempt)
            span.set_attribute(telemetry.JOB_STATE, state.name)
            span.set_attribute(telemetry.WORKER_ID, terms.worker_id)
            if stored is not end.verdict:
                span.set_attribute(telemetry.ERROR_TYPE, OUTCOME_REJECTED.reason)
            elif isinstance(cause, Lapse):
                span.set_attribute(telemetry.ERROR_TYPE, cause.value)
            elif isinstance(cause, Failure):
                span.set_attribute(
                    telemetry.ERROR_TYPE, cause.error.reason or code_pb2.Code.Name(cause.error.code)
                )
        span.end()
