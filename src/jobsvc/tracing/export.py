"""Sends spans through the OpenTelemetry SDK. Imported only by processes that are traced."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from jobsvc.tracing.span_file import SpanFile

#: A killed process loses the spans of this last time.
FILE_DELAY_MILLIS = 250
#: Longest wait at exit for an exporter to send its last spans.
FLUSH_SECONDS = 3.0
#: Longest further wait, after its connection was closed.
_ABORT_SECONDS = 1.0


@contextmanager
def export_spans(service_name: str, folder: Path | None, to_collector: bool) -> Iterator[None]:
    """Sends ended spans to a file in `folder` and to the collector named by the environment."""
    instance = uuid4().hex
    provider = _provider(service_name, instance)
    with ExitStack() as exports:
        if folder is not None:
            file = SpanFile(folder, service_name, instance)
            exports.enter_context(_export(provider, file, FILE_DELAY_MILLIS))
        if to_collector:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

            exports.enter_context(_export(provider, OTLPSpanExporter(), None))
        yield


def _provider(service_name: str, instance: str) -> TracerProvider:
    """Returns the provider of this process, a new one if there is none.

    OpenTelemetry allows to set it only once; a program that traces already has its own.
    """
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        return present
    resource = Resource.create({SERVICE_NAME: service_name, SERVICE_INSTANCE_ID: instance})
    # Not at exit: `_export` flushes, within a time that the SDK does not limit.
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def _export(
    provider: TracerProvider, exporter: SpanExporter, delay_millis: float | None
) -> Iterator[None]:
    processor = BatchSpanProcessor(exporter, schedule_delay_millis=delay_millis)
    provider.add_span_processor(processor)
    try:
        yield
    finally:
        # In a thread that can be left behind: the SDK waits up to 30 s for its exporter.
        flush = threading.Thread(target=processor.shutdown, name="flush spans", daemon=True)
        flush.start()
        flush.join(FLUSH_SECONDS)
        if flush.is_alive():
            exporter.shutdown()
            flush.join(_ABORT_SECONDS)
