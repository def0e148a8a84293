"""A real Jaeger receives our spans, and `jobsvc trace` reads them from its HTTP API.

docs/operations/traces.md says how to build one. Skipped without the program `jaeger`, or another
that JAEGER names.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support.command import run
from tests.e2e.support.stage import Stage
from tests.support.probe import eventually

_PROGRAM = os.environ.get("JAEGER") or shutil.which("jaeger")

pytestmark = pytest.mark.skipif(_PROGRAM is None, reason="there is no jaeger")

_CONFIGURATION = """
service:
  extensions: [jaeger_storage, jaeger_query]
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [jaeger_storage_exporter]
  telemetry:
    metrics:
      level: none
extensions:
  jaeger_storage:
    backends:
      memory:
        memory:
          max_traces: 1000
  jaeger_query:
    storage:
      traces: memory
    http:
      endpoint: 127.0.0.1:{http}
    grpc:
      endpoint: 127.0.0.1:{grpc}
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:{otlp}
exporters:
  jaeger_storage_exporter:
    trace_storage: memory
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Where it takes spans, and where it is asked."""
    otlp, http, grpc = free_port(), free_port(), free_port()
    file = tmp_path / "jaeger.yaml"
    file.write_text(_CONFIGURATION.format(otlp=otlp, http=http, grpc=grpc))
    with (tmp_path / "jaeger.log").open("wb") as log:
        process = subprocess.Popen([_PROGRAM or "", "--config", file], stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{otlp}", f"http://127.0.0.1:{http}"
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    """Whether the API is there."""
    try:
        with urllib.request.urlopen(f"{url}/api/services", timeout=30):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


async def test_trace_is_drawn_from_jaeger(stage: Stage, jaeger: tuple[str, str]) -> None:
    endpoint, url = jaeger
    await eventually(lambda: answers(url), seconds=60, what="Jaeger")
    sent: dict[str, Any] = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint}
    server = await stage.serve(environment=sent)
    await stage.work(server.target, **sent)
    async with stage.calls(server.target) as caller:
        created = await asyncio.to_thread(
            run, "create", "flaky", "{}", "--target", server.target, **sent
        )
        job_id = created.stdout.strip()
        await caller.follow([job_id])

    async def drawn() -> str:
        shown = await asyncio.to_thread(run, "trace", job_id, "--from", url, COLUMNS="120")
        assert shown.returncode in (0, 1), shown.stderr
        return shown.stdout

    def is_whole(text: str) -> bool:
        return text.count("settle flaky") == text.count("process flaky") == 2

    text = await eventually(drawn, is_whole, seconds=60, what="the trace")
    assert text.count("JobService/CreateJob") == 2
    assert "COMPLETED" in text
    for service in ("jobsvc", "jobsvc-worker", "jobsvc-cli"):
        assert service in text
    unknown = await asyncio.to_thread(run, "trace", "f" * 32, "--from", url)
    assert (unknown.returncode, unknown.stdout) == (1, "")
