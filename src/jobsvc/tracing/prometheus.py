"""Metrics as Prometheus reads them. Imported only where the extra `prometheus` is installed."""

from collections.abc import Callable

from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

#: Of what `prometheus_text` returns.
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def prometheus_text() -> Callable[[], bytes]:
    """Adds a reader to the meter provider of this process, which must be the SDK's, and returns
    what renders all metrics as text. May be called by any thread."""
    # Of its own: the default one has metrics of this library, and whatever a program adds.
    registry = CollectorRegistry()
    # Without the labels of the scope, which are the same on every line.
    reader = PrometheusMetricReader(registry=registry, scope_info_enabled=False)
    provider = metrics.get_meter_provider()
    provider.add_metric_reader(reader)  # type: ignore[attr-defined]  # the SDK's has it
    return lambda: generate_latest(registry)
