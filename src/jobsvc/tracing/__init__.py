"""Sends spans to an OTLP collector or a folder that `jobsvc trace` reads; metrics to a collector.

Every process (server, worker, caller) wraps its life in `start_tracing`. The
rest of the code only knows the OpenTelemetry API and `jobsvc.telemetry`.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jobsvc import extras
from jobsvc.tracing.environment import CONFIG_FILE, exporters, is_disabled

log = logging.getLogger(__name__)


def can_be_scraped() -> bool:
    """Whether Prometheus may read the metrics of this process: the extra `prometheus` is there, and
    nothing turns telemetry off."""
    return extras.is_installed("prometheus") and not is_disabled(os.environ)


@contextmanager
def start_tracing(
    service_name: str,
    trace_dir: Path | None,
    with_metrics: bool = False,
    flush_seconds: float = 3.0,
    is_scraped: bool = False,
    process: int | None = None,
) -> Iterator[None]:
    """Exports the spans of this process while the block runs; at its end, flushes.

    OpenTelemetry's own variables say where to, and its SDK reads them. Spans also go
    to a file in `trace_dir` (or the folder in `JOBSVC_TRACE_DIR`), within half a
    second of their end. When none of them asks for anything, nothing is imported or
    installed, and spans and metrics cost next to nothing. Without the extra `otlp`,
    or for a value that the SDK cannot use, a warning is logged, and the block runs.

    `service_name` is the `service.name` unless the environment has one. The flush
    takes `flush_seconds` at most; a collector that is away loses the rest. `is_scraped`
    installs the SDK's metrics even if nothing asks for them: somebody reads them. Blocks may
    follow one another in one process, but only the first one reads the variables. `process` is the
    number of this process, if it is one of several: an instance that the environment names for all
    of them gets it, too.
    """
    folder = trace_dir or os.environ.get("JOBSVC_TRACE_DIR") or None
    chosen = exporters(os.environ, with_metrics)
    asked: object = any(name != "none" for name in chosen.values()) or os.environ.get(CONFIG_FILE)
    if is_disabled(os.environ):
        asked, folder, is_scraped = False, None, False
    can_send = extras.is_installed("otlp") or extras.is_installed("otlp-http")
    if (asked or folder) and not can_send:
        log.warning("no spans and no metrics are sent: %s", extras.ask_for("otlp"))
        asked, folder, chosen = False, None, dict.fromkeys(chosen, "none")
    if not (asked or folder or is_scraped):
        yield
    else:
        # The SDK is imported here, not above: only a process that sends something pays for it.
        from jobsvc.tracing.export import export

        with export(service_name, Path(folder) if folder else None, chosen, flush_seconds, process):
            yield
