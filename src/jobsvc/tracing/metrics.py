"""Sends metrics to an OTLP collector. Imported only by processes that have one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import metrics
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource

#: Longest wait at exit for the collector to take the last metrics.
_FLUSH_SECONDS = 3.0


@contextmanager
def export_metrics(service_name: str) -> Iterator[None]:
    """Sends metrics to the collector named by the environment, as often as
    `OTEL_METRIC_EXPORT_INTERVAL` says (milliseconds, a minute by default), and at the end.

    OpenTelemetry allows to set the provider only once in a process; one that is set stays.
    """
    if isinstance(metrics.get_meter_provider(), MeterProvider):
        yield
        return
    provider = MeterProvider(
        [PeriodicExportingMetricReader(OTLPMetricExporter())],
        Resource.create({SERVICE_NAME: service_name}),
        shutdown_on_exit=False,
    )
    metrics.set_meter_provider(provider)
    try:
        yield
    finally:
        # In a thread that can be left behind: the exporter exceeds its timeout.
        flush = threading.Thread(
            target=provider.shutdown,
            args=(1000 * _FLUSH_SECONDS,),
            name="flush metrics",
            daemon=True,
        )
        flush.start()
        flush.join(_FLUSH_SECONDS + 1)
