"""The `send` span of each job that is created."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context

from jobsvc import telemetry
from jobsvc.domain.job import NewJob
from jobsvc.event_loop.time_slice import TimeSlice


class SendSpans:
    """Makes spans with a tracer, if spans go anywhere."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._traced = telemetry.is_traced()

    @asynccontextmanager
    async def sending(
        self, new_jobs: Sequence[NewJob], contexts: Sequence[Context] | None = None
    ) -> AsyncIterator[Sequence[NewJob]]:
        """Yields the jobs, each with the trace context of its own `send` span, the parent of every
        later span of the job. The spans last as long as the block. `contexts` are those of the
        creations, if they are not all in the current one.
        """
        if not self._traced:
            yield _in_callers_contexts(new_jobs, contexts)
            return
        # To start a thousand spans takes 25 ms, and to end them as long if they are sampled.
        spans: list[trace.Span] = []
        traced = []
        time_slice = TimeSlice()
        try:
            for index, new in enumerate(new_jobs):
                if time_slice.used_up:
                    await time_slice.yield_()
                span = self._tracer.start_span(
                    f"send {new.options.queue}",
                    None if contexts is None else contexts[index],
                    kind=trace.SpanKind.PRODUCER,
                    attributes=telemetry.messaging_attributes("send", new.options.queue, new.id),
                )
                spans.append(span)
                traceparent, tracestate = telemetry.headers(span)
                traced.append(_in_context(new, traceparent, tracestate))
            yield traced
        finally:
            time_slice = TimeSlice()
            for span in spans:
                span.end()
                if time_slice.used_up:
                    await time_slice.yield_()


def _in_callers_contexts(
    new_jobs: Sequence[NewJob], contexts: Sequence[Context] | None
) -> Sequence[NewJob]:
    """Without spans of ours, the caller's context still travels with the job."""
    if contexts is None:
        caller = trace.get_current_span()
        if not caller.get_span_context().is_valid:
            return new_jobs
        traceparent, tracestate = telemetry.headers(caller)
        return [_in_context(new, traceparent, tracestate) for new in new_jobs]
    return [
        _in_context(new, *telemetry.headers(trace.get_current_span(context))) if context else new
        for new, context in zip(new_jobs, contexts, strict=True)
    ]


def _in_context(new: NewJob, traceparent: str, tracestate: str) -> NewJob:
    return msgspec.structs.replace(new, traceparent=traceparent, tracestate=tracestate)
