"""The `process {queue}` span of an attempt, through the OpenTelemetry API alone."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from jobsvc import telemetry
from jobsvc.worker.failure import describe
from jobsvc.worker.outcome import Cancelled, Release
from jobsvc.worker.running_attempt import RunningAttempt, Stop

#: To stop for these reasons is no failure.
_ASKED = (Stop.CANCEL_REQUESTED, Stop.RELEASED, Stop.NOT_BEGUN)

log = logging.getLogger("jobsvc.worker")


class ProcessSpans:
    """Opens a span for each attempt, a child of the job's creation and linked to it."""

    def __init__(self, tracer: trace.Tracer, worker_id: str) -> None:
        self._tracer = tracer
        self._worker_id = worker_id

    @contextmanager
    def process(self, attempt: RunningAttempt) -> Iterator[None]:
        """Makes the attempt's span current in the block, so that spans of the processor nest.

        A tracer that fails costs the span, and no attempt.
        """
        spans: list[AbstractContextManager[trace.Span]] = []
        try:
            if _try(lambda: spans.append(self._span(attempt))):
                _try(spans[0].__enter__)
            yield
        finally:
            if spans:
                _try(lambda: spans[0].__exit__(None, None, None))

    def _span(self, attempt: RunningAttempt) -> AbstractContextManager[trace.Span]:
        lease = attempt.lease
        parent = telemetry.parent(lease.traceparent, lease.tracestate)
        creation = trace.get_current_span(parent).get_span_context()
        attributes = telemetry.messaging_attributes("process", lease.queue, lease.job_id)
        attributes[telemetry.JOB_ATTEMPT] = lease.attempt
        attributes[telemetry.WORKER_ID] = self._worker_id
        return self._tracer.start_as_current_span(
            f"process {lease.queue}",
            context=parent,
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=[Link(creation)] if creation.is_valid else [],
            record_exception=False,
            set_status_on_exception=False,
        )


def find_tracer() -> trace.Tracer | None:
    """Returns the tracer of this process; None without a provider, which would drop all spans."""
    nothing = trace.ProxyTracerProvider | trace.NoOpTracerProvider
    if isinstance(trace.get_tracer_provider(), nothing):
        return None
    return trace.get_tracer("jobsvc.worker")


def record_failure(exception: BaseException, stop: Stop | None) -> None:
    """Marks the current span as failed, unless the processor stopped because it was told to."""
    # The type alone is asked: what the exception says of its class may raise.
    kind = type(exception)
    stopped = stop is not None and issubclass(kind, asyncio.CancelledError | Cancelled)
    if issubclass(kind, Release) or (stopped and stop in _ASKED):
        return

    def record() -> None:
        span = trace.get_current_span()
        if span.is_recording():
            description = stop.value if stopped and stop is not None else describe(exception)
            span.set_status(Status(StatusCode.ERROR, description))
            span.set_attribute(telemetry.ERROR_TYPE, kind.__qualname__)
            span.record_exception(exception)

    _try(record)


def _try(action: Callable[[], object]) -> bool:
    # Returns whether it did not raise. Only synchronous: no cancellation is eaten.
    try:
        action()
    except BaseException as error:
        with suppress(BaseException):  # as in the runner
            log.warning("tracing failed: %s", describe(error))
        return False
    return True
