"""Sends spans and metrics by the OpenTelemetry SDK. Imported only by processes that send some."""

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from opentelemetry import _logs, metrics, trace

from jobsvc.release import installed_release
from jobsvc.tracing.environment import CONFIG_FILE, complaint

#: A killed process loses the spans of this last time.
FILE_DELAY_MILLIS = 250

log = logging.getLogger("jobsvc.tracing")

Flush = Callable[[], object]


@contextmanager
def export(
    service_name: str,
    folder: Path | None,
    exporters: Mapping[str, str],
    flush_seconds: float,
    process: int | None = None,
) -> Iterator[None]:
    """Sends spans to a file in `folder`, and what `exporters` say to where they say.

    A value or a folder that is of no use costs what it is about, and a line in the log.
    """
    flushes: list[Flush] = []
    with _one_line_each():
        try:
            # The SDK reads variables as it is imported, too.
            from opentelemetry.sdk.trace import TracerProvider

            # OpenTelemetry allows to set it only once. A program that is traced already, by
            # `opentelemetry-instrument` say, has read the environment.
            if not isinstance(trace.get_tracer_provider(), TracerProvider):
                try:
                    _configure(service_name, exporters, process)
                finally:
                    flushes += _ends_of_providers()
            if folder is not None:
                flushes += _write_to(folder, service_name)
        except Exception as error:  # The SDK raises what it happens to, for a value it cannot use.
            log.warning(
                "spans or metrics are not sent: %s",
                complaint(f"{error}" or type(error).__name__, os.environ),
            )
    try:
        yield
    finally:
        _end(flushes, flush_seconds)


def _configure(service_name: str, exporters: Mapping[str, str], process: int | None) -> None:
    """Lets the SDK configure itself by its variables, as distributions of OpenTelemetry do."""
    from opentelemetry.sdk._configuration import _OTelSDKConfigurator
    from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION

    class Configurator(_OTelSDKConfigurator):
        """It wants to be derived from."""

    unset = {SERVICE_NAME: service_name, SERVICE_INSTANCE_ID: f"{uuid4()}"}
    if release := installed_release():
        unset[SERVICE_VERSION] = release
    resource = {key: _from_environment().get(key, value) for key, value in unset.items()}
    named = _from_environment().get(SERVICE_INSTANCE_ID)
    if process is not None and named is not None:
        resource[SERVICE_INSTANCE_ID] = f"{named}-{process}"
    # A file says all by itself.
    options = {} if os.environ.get(CONFIG_FILE) else {"resource_attributes": resource}
    with _variables(exporters):
        Configurator().configure(**options)  # type: ignore[no-untyped-call]  # the SDK's


def _from_environment() -> Mapping[str, object]:
    """The attributes of this process that the environment says: of the service, mostly."""
    from opentelemetry.sdk.resources import OTELResourceDetector

    return OTELResourceDetector().detect().attributes


@contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of the environment in the block: the SDK takes no other defaults."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _ends_of_providers() -> list[Flush]:
    ends = []
    for provider in (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    ):
        if shutdown := getattr(provider, "shutdown", None):  # the SDK's have one
            # They registered it to run at exit, for as long as it takes.
            atexit.unregister(shutdown)
            ends.append(shutdown)
    return ends


def _write_to(folder: Path, service_name: str) -> list[Flush]:
    from opentelemetry.sdk.resources import SERVICE_NAME
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from jobsvc.tracing.span_file import SpanFile

    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider), "it is configured"
    name = str(_from_environment().get(SERVICE_NAME, service_name))
    try:
        file = SpanFile(folder, name, uuid4().hex)
    except OSError as error:
        log.warning("no spans are written to %s: %s", folder, error.strerror)
        return []
    processor = BatchSpanProcessor(file, schedule_delay_millis=FILE_DELAY_MILLIS)
    provider.add_span_processor(processor)
    return [processor.shutdown]


def _end(flushes: list[Flush], seconds: float) -> None:
    """Flushes side by side, for at most `seconds`: the SDK would wait for up to 30 s each."""
    # Threads that can be left behind.
    threads = [threading.Thread(target=flush, name="flush", daemon=True) for flush in flushes]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        log.warning("the last spans and metrics are lost: not taken within %g s", seconds)


@contextmanager
def _one_line_each() -> Iterator[None]:
    """Logs what the SDK logs in the block: each message once, and without a stack trace."""
    lines: dict[str, None] = {}

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines[record.getMessage()] = None

    source, collector = logging.getLogger("opentelemetry"), Collector(logging.WARNING)
    propagated = source.propagate
    source.addHandler(collector)
    source.propagate = False
    try:
        yield
    finally:
        source.removeHandler(collector)
        source.propagate = propagated
        for line in lines:
            log.warning("OpenTelemetry: %s", complaint(line, os.environ))
