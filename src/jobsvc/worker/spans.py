"""The `process {queue}` span of an attempt, through the OpenTelemetry API alone."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from jobsvc import telemetry
from jobsvc.worker.outcome import Cancelled, Release
from jobsvc.worker.running_attempt import RunningAttempt, Stop

#: To stop for these reasons is no failure.
_ASKED = (Stop.CANCEL_REQUESTED, Stop.RELEASED)


class ProcessSpans:
    """Opens a span for each attempt, a child of the job's creation and linked to it."""

    def __init__(self, tracer: trace.Tracer, worker_id: str) -> None:
        self._tracer = tracer
        self._worker_id = worker_id

    @contextmanager
    def process(self, attempt: RunningAttempt) -> Iterator[None]:
        """Makes the attempt's span current in the block, so that spans of the processor nest."""
        lease = attempt.lease
        parent = telemetry.parent(lease.traceparent, lease.tracestate)
        creation = trace.get_current_span(parent).get_span_context()
        attributes = telemetry.messaging_attributes("process", lease.queue, lease.job_id)
        attributes[telemetry.JOB_ATTEMPT] = lease.attempt
        attributes[telemetry.WORKER_ID] = self._worker_id
        with self._tracer.start_as_current_span(
            f"process {lease.queue}",
            context=parent,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=[Link(creation)] if creation.is_valid else [],
            record_exception=False,
            set_status_on_exception=False,
        ):
            yield


def find_tracer() -> trace.Tracer | None:
    """Returns the tracer of this process; None without a provider, which would drop all spans."""
    nothing = trace.ProxyTracerProvider | trace.NoOpTracerProvider
    if isinstance(trace.get_tracer_provider(), nothing):
        return None
    return trace.get_tracer("jobsvc.worker")


def record_failure(exception: BaseException, stop: Stop | None) -> None:
    """Marks the current span as failed, unless the processor stopped because it was told to."""
    stopped = stop is not None and isinstance(exception, asyncio.CancelledError | Cancelled)
    if isinstance(exception, Release) or (stopped and stop in _ASKED):
        return
    span = trace.get_current_span()
    if span.is_recording():
        description = f"{type(exception).__name__}: {exception}"
        if stopped and stop is not None:
            description = stop.value
        span.record_exception(exception)
        span.set_attribute(telemetry.ERROR_TYPE, type(exception).__qualname__)
        span.set_status(Status(StatusCode.ERROR, description))
