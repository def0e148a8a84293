"""Sends spans to an OTLP collector or a folder that `jobsvc trace` reads; metrics to a collector.

Every process (server, worker, caller) wraps its life in `start_tracing`. The
rest of the code only knows the OpenTelemetry API and `jobsvc.telemetry`.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from jobsvc import extras

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_METRICS_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

log = logging.getLogger(__name__)


@contextmanager
def start_tracing(
    service_name: str, trace_dir: Path | None, with_metrics: bool = False
) -> Iterator[None]:
    """Exports the spans of this process while the block runs; at its end, flushes.

    Spans go to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names, and to a
    file in `trace_dir` (or the folder in `JOBSVC_TRACE_DIR`). Metrics, if wanted,
    go to the collector, unless `OTEL_METRICS_EXPORTER` is `none`. When none of
    them is set nothing is imported or installed, and spans and metrics cost next
    to nothing. Without the extra `otlp` a warning is logged and nothing is sent.

    `service_name` becomes `service.name` unless `OTEL_SERVICE_NAME` is set; the
    sampler is that of `OTEL_TRACES_SAMPLER`. A file receives a span within half
    a second of its end. The flush takes a few seconds at most, even when the
    collector is away. Blocks may follow one another in one process.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    name = os.environ.get("OTEL_SERVICE_NAME") or service_name
    folder = trace_dir or os.environ.get("JOBSVC_TRACE_DIR") or None
    to_collector = any(os.environ.get(variable) for variable in _ENDPOINTS)
    send_spans = folder is not None or to_collector
    send_metrics = with_metrics and _metrics_go_out()
    if (send_spans or send_metrics) and not extras.is_installed("otlp"):
        log.warning("no spans and no metrics are sent: %s", extras.ask_for("otlp"))
        send_spans = send_metrics = False
    # The SDK is imported here, not above: only a process that sends something pays for it.
    with ExitStack() as exports:
        if send_metrics:
            from jobsvc.tracing.metrics import export_metrics

            exports.enter_context(export_metrics(name))
        if send_spans:
            from jobsvc.tracing.export import export_spans

            exports.enter_context(
                export_spans(name, Path(folder) if folder else None, to_collector)
            )
        yield


def _metrics_go_out() -> bool:
    if os.environ.get("OTEL_METRICS_EXPORTER") == "none":
        return False
    return any(os.environ.get(name) for name in _METRICS_ENDPOINTS)
