"""Where spans go: an OTLP collector, a folder that `jobsvc trace` reads, or nowhere.

Every process (server, worker, caller) wraps its life in `start_tracing`. The
rest of the code only knows the OpenTelemetry API and `jobsvc.telemetry`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@contextmanager
def start_tracing(service_name: str, trace_dir: Path | None) -> Iterator[None]:
    """Exports the spans of this process while the block runs; at its end, flushes.

    Spans go to the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names, and to a
    file in `trace_dir` (or the folder in `JOBSVC_TRACE_DIR`). When none of them
    is set nothing is imported or installed, and spans cost next to nothing.

    `service_name` becomes `service.name` unless `OTEL_SERVICE_NAME` is set; the
    sampler is that of `OTEL_TRACES_SAMPLER`. Files receive a span at most half
    a second after it ended. The flush takes at most a few seconds, also when
    the collector is away. Blocks may follow one another in one process.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder = trace_dir or os.environ.get("JOBSVC_TRACE_DIR") or None
    to_collector = any(os.environ.get(name) for name in _ENDPOINTS)
    if folder is None and not to_collector:
        yield
        return

    # Here, not above: only a process that is traced pays for the SDK.
    from jobsvc.tracing.export import export_spans

    name = os.environ.get("OTEL_SERVICE_NAME") or service_name
    with export_spans(name, Path(folder) if folder else None, to_collector):
        yield
