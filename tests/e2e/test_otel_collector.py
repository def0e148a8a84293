"""A real OpenTelemetry Collector receives our spans and metrics; `jobsvc trace` reads what it
wrote, and Prometheus what it serves.

deploy/collector says how to build one. Skipped without the program `otelcol`, or another that
OTELCOL names.
"""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from jobsvc.telemetry.catalogue import (
    JOB_RUN,
    JOB_WAIT,
    QUEUE_PAUSED,
    RPC_DURATION,
    SERVER_INSTRUMENTS,
    SOMETIMES,
    WORKER_CONNECTED,
    WORKER_RUN,
)
from jobsvc.tracing.span_files import find_trace_ids
from tests.e2e.support.command import run
from tests.e2e.support.stage import Stage
from tests.support.probe import eventually
from tests.telemetry.support.prometheus import prometheus_name

_PROGRAM = os.environ.get("OTELCOL") or shutil.which("otelcol")
_CONFIGURATION = Path(__file__).parents[2] / "deploy/collector/collector.yaml"

_WITH_EXEMPLARS = (JOB_RUN, JOB_WAIT, RPC_DURATION, WORKER_RUN)

pytestmark = pytest.mark.skipif(_PROGRAM is None, reason="there is no otelcol")


@dataclass(frozen=True)
class Collector:
    """A collector that runs."""

    endpoint: str
    spans: Path
    metrics_url: str

    def metrics(self) -> str:
        """What it serves to Prometheus."""
        accept = {"Accept": "application/openmetrics-text;version=1.0.0"}
        request = urllib.request.Request(self.metrics_url, headers=accept)
        with suppress(urllib.error.URLError), urllib.request.urlopen(request, timeout=30) as found:
            return str(found.read(), "utf-8")
        return ""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """As deploy/collector has it, on free ports."""
    otlp, prometheus = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    spans = tmp_path / "spans.json"
    with (tmp_path / "collector.log").open("wb") as log:
        process = subprocess.Popen(
            [_PROGRAM or "", "--config", _CONFIGURATION],
            env={
                **os.environ,
                "OTLP_LISTEN": otlp,
                "PROMETHEUS_LISTEN": prometheus,
                "SPANS_FILE": str(spans),
            },
            stdout=log,
            stderr=log,
        )
    try:
        yield Collector(f"http://{otlp}", spans, f"http://{prometheus}/metrics")
    finally:
        process.kill()
        process.wait()


async def test_collector_receives_spans_and_metrics(stage: Stage, collector: Collector) -> None:
    names: set[str] = set()
    exemplars: set[tuple[str, str]] = set()
    watch = asyncio.ensure_future(watch_metrics(collector, names, exemplars))
    sent: dict[str, Any] = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
    }
    server = await stage.serve(environment=sent)
    await stage.work(server.target, **sent)
    async with stage.calls(server.target) as caller:
        created = await asyncio.to_thread(
            run, "create", "flaky", "{}", "--target", server.target, **sent
        )
        job_id = created.stdout.strip()
        await caller.follow([job_id])

    async def drawn() -> str:
        shown = await asyncio.to_thread(
            run, "trace", job_id, "--from", f"{collector.spans}", COLUMNS="120"
        )
        return shown.stdout

    def is_whole(text: str) -> bool:
        return text.count("settle flaky") == text.count("process flaky") == 2

    # The call of the command, that of the server, send, and two attempts, each settled.
    text = await eventually(drawn, is_whole, seconds=60, what="the trace")
    assert text.count("JobService/CreateJob") == 2
    assert "COMPLETED" in text
    for service in ("jobsvc", "jobsvc-worker", "jobsvc-cli"):
        assert service in text

    always = [i for i in SERVER_INSTRUMENTS if not i.attributes and i not in SOMETIMES]
    expected = {prometheus_name(instrument) for instrument in always}
    expected |= {prometheus_name(i) for i in (*_WITH_EXEMPLARS, QUEUE_PAUSED, WORKER_CONNECTED)}
    await eventually(
        lambda: expected - names, lambda missing: not missing, seconds=60, what="the metrics"
    )
    (trace_id,) = find_trace_ids(collector.spans, job_id)
    of_trace = {(prometheus_name(instrument), trace_id) for instrument in _WITH_EXEMPLARS}
    await eventually(
        lambda: of_trace - exemplars, lambda missing: not missing, seconds=60, what="exemplars"
    )
    watch.cancel()


async def watch_metrics(
    collector: Collector, names: set[str], exemplars: set[tuple[str, str]]
) -> NoReturn:
    """Notes the names of metrics, and exemplars with their traces: each is there until the next
    export."""
    while True:
        for line in (await asyncio.to_thread(collector.metrics)).splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                names.add(f"{name}_total" if kind == "counter" else name)
            elif found := re.fullmatch(r'(\w+)_bucket{.*} \S+ # {.*trace_id="(\w+)".*', line):
                exemplars.add((found[1], found[2]))
        await asyncio.sleep(0.05)  # Between two looks.
