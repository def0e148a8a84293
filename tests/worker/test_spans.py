"""The `process` span of an attempt, as the runner makes it."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from jobsvc import telemetry
from jobsvc.tracing.json_log import JsonFormatter
from jobsvc.v1.payload_pb2 import Payload
from jobsvc.v1.worker_service_pb2 import JobLease, JobOutcome
from jobsvc.worker import Fail, Processor, Release
from jobsvc.worker.bound_processor import bind
from jobsvc.worker.runner import Runner
from jobsvc.worker.running_attempt import RunningAttempt, Stop
from jobsvc.worker.spans import ProcessSpans

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


async def run(
    function: Callable[..., Any],
    stop: Stop | None = None,
    text: str = "{}",
    also: SpanProcessor | None = None,
) -> tuple[list[ReadableSpan], JobOutcome]:
    """Runs one attempt; with `stop`, stops it once it has begun."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    class Exporter(InMemorySpanExporter):
        """Says when the span has ended, which is just after the report."""

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            result = super().export(spans)
            loop.call_soon_threadsafe(ended.set)
            return result

    exporter = Exporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    if also is not None:
        provider.add_span_processor(also)
    tracer = provider.get_tracer("test")
    outcomes: asyncio.Queue[JobOutcome] = asyncio.Queue()
    lease = JobLease(
        lease_id="l1",
        job_id="j1",
        queue="q",
        attempt=2,
        input=Payload(json_text=text),
        traceparent=f"00-{TRACE_ID}-{SPAN_ID}-01",
    )
    attempt = RunningAttempt(lease, loop.time(), lambda _: None)
    begun = asyncio.Event()
    failures: list[str] = []
    processors = {"q": bind(Processor(function, "q"))}
    async with asyncio.TaskGroup() as group:
        runner = Runner(
            processors,
            loop,
            group,
            2,
            ProcessSpans(tracer, "w1"),
            lambda outcome: loop.call_soon_threadsafe(outcomes.put_nowait, outcome) and None,
            failures.append,
        )
        runner.start([attempt])
        if stop is not None:
            loop.call_later(0.05, begun.set)
            await begun.wait()
            runner.stop(attempt, stop)
        outcome = await outcomes.get()
        runner.close()
    if also is None:
        await ended.wait()
    assert not failures
    return list(exporter.get_finished_spans()), outcome


async def succeed_async(value: dict[str, Any]) -> None:
    trace.get_current_span().set_attribute("mine", 1)


def succeed_in_thread(value: dict[str, Any]) -> None:
    trace.get_current_span().set_attribute("mine", 1)


async def log_async(value: dict[str, Any]) -> None:
    logging.getLogger("yours").warning("on my way")


def log_in_thread(value: dict[str, Any]) -> None:
    logging.getLogger("yours").warning("on my way")


@pytest.mark.parametrize("function", [log_async, log_in_thread])
async def test_every_line_of_a_processor_names_job_and_trace(function: Callable[..., Any]) -> None:
    lines: list[dict[str, Any]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonFormatter().format(record)))

    handler, logger = Handler(), logging.getLogger("yours")
    logger.addHandler(handler)
    try:
        (span,), _ = await run(function)
        logger.warning("afterwards")
    finally:
        logger.removeHandler(handler)
    within, afterwards = lines
    assert span.context is not None
    span_id = trace.format_span_id(span.context.span_id)
    assert (within["job_id"], within["trace_id"], within["span_id"]) == ("j1", TRACE_ID, span_id)
    assert not {"job_id", "trace_id", "span_id"} & afterwards.keys()


@pytest.mark.parametrize("function", [succeed_async, succeed_in_thread])
async def test_span_continues_and_links_the_creation(function: Callable[..., Any]) -> None:
    (span,), _ = await run(function)
    assert span.name == "process q"
    assert span.kind is trace.SpanKind.CONSUMER
    assert span.context is not None
    assert span.parent is not None
    assert trace.format_trace_id(span.context.trace_id) == TRACE_ID
    assert trace.format_span_id(span.parent.span_id) == SPAN_ID
    (link,) = span.links
    assert trace.format_span_id(link.context.span_id) == SPAN_ID
    assert dict(span.attributes or {}) == {
        **telemetry.messaging_attributes("process", "q", "j1"),
        telemetry.JOB_ATTEMPT: 2,
        telemetry.WORKER_ID: "w1",
        "mine": 1,
    }
    assert span.status.status_code is trace.StatusCode.UNSET


async def fail(value: dict[str, Any]) -> None:
    raise Fail("no such page")


def crash(value: dict[str, Any]) -> None:
    raise SystemExit(3)


async def return_nonsense(value: dict[str, Any]) -> Any:
    return object()


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (fail, "Fail", "{}"),
        (crash, "SystemExit", "{}"),
        (return_nonsense, "TypeError", "{}"),
        (fail, "ValidationError", "[]"),
    ],
)
async def test_failure_is_recorded(function: Callable[..., Any], error: str, text: str) -> None:
    (span,), outcome = await run(function, text=text)
    assert outcome.HasField("failure")
    assert span.status.status_code is trace.StatusCode.ERROR
    assert (span.attributes or {})[telemetry.ERROR_TYPE] == error
    assert [event.name for event in span.events] == ["exception"]


class Unprintable(BaseException):
    def __str__(self) -> str:
        raise SystemExit("no text")


async def raise_unprintable(value: dict[str, Any]) -> None:
    raise Unprintable


def raise_untraceable(value: dict[str, Any]) -> None:
    raise SyntaxError("bad", ("mine.py", 1, "column", "text"))


@pytest.mark.parametrize("function", [raise_unprintable, raise_untraceable])
async def test_exception_that_cannot_be_recorded_is_an_error_all_the_same(
    function: Callable[..., Any],
) -> None:
    (span,), outcome = await run(function)
    assert outcome.HasField("failure")
    assert span.status.status_code is trace.StatusCode.ERROR


class BrokenProcessor(SpanProcessor):
    """Tracing of the developer's that fails at every span."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise SystemExit("no start")

    def on_end(self, span: Any) -> None:
        raise SystemExit("no end")


@pytest.mark.parametrize("function", [succeed_async, succeed_in_thread])
async def test_tracer_that_fails_costs_no_attempt(function: Callable[..., Any]) -> None:
    _, outcome = await run(function, also=BrokenProcessor())
    assert outcome == "l1"


async def release(value: dict[str, Any]) -> None:
    raise Release(reason="not now")


async def forever(value: dict[str, Any]) -> None:
    await asyncio.Event().wait()


async def test_release_and_cancel_are_no_errors() -> None:
    for function, stop in ((release, None), (forever, Stop.CANCEL_REQUESTED)):
        (span,), _ = await run(function, stop)
        assert span.status.status_code is trace.StatusCode.UNSET


async def test_timeout_is_an_error() -> None:
    (span,), _ = await run(forever, Stop.TIMED_OUT)
    assert span.status.status_code is trace.StatusCode.ERROR
    assert span.status.description == Stop.TIMED_OUT.value
