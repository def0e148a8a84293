"""The OpenTelemetry SDK, set up and taken down. Imported only by processes that are traced."""

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

#: A killed process loses the spans of this last moment.
FILE_DELAY_MILLIS = 250
#: Longest wait at exit for an exporter to send what is left.
FLUSH_SECONDS = 3.0
#: After that its connection is closed, and this is how long it may take to notice.
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
    """The provider of this process. OpenTelemetry lets it be set once, so one that is there stays.

    That also suits a caller who traces already and brings a provider along.
    """
    present = trace.get_tracer_provider()
    if isinstance(present, TracerProvider):
        return present
    resource = Resource.create({SERVICE_NAME: service_name, SERVICE_INSTANCE_ID: instance})
    # Not at exit: the block below flushes, within a bound that the SDK does not have.
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
        # The SDK waits up to 30 s for its exporter. A thread may be left behind instead.
        flush = threading.Thread(target=processor.shutdown, name="flush spans", daemon=True)
        flush.start()
        flush.join(FLUSH_SECONDS)
        if flush.is_alive():
            exporter.shutdown()
            flush.join(_ABORT_SECONDS)
