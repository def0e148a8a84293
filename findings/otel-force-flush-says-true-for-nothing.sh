#!/usr/bin/env bash
# One would guess: `TracerProvider.force_flush(timeout_millis=2000)` returns within two seconds, True
# if the spans were delivered and False if not; that is what a process calls before it exits.
#
# True (opentelemetry-sdk 1.45.2 with the OTLP exporters for gRPC and HTTP of the same version): with
# no collector at the endpoint, or one that accepts the connection and says nothing, it returns True
# after 7 to 10 s, with no span delivered. The argument bounds nothing: the exporter's own timeout
# (10 s) and its retries do, and what the exporter answers is not looked at.
#
# Source: the specification (Trace SDK, ForceFlush) wants "a way to let the caller know whether it
# succeeded, failed or timed out" and lets it be bounded by a timeout; BatchSpanProcessor.force_flush
# exports what is queued in the calling thread and returns True.
#
# Why it matters: a worker or a command-line tool that flushes before it exits hangs for ten seconds a
# call while the collector is away, longer than most supervisors wait, and then believes that its
# trace arrived. Flush in a thread with a bound of your own, and close the exporter after it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 \
  opentelemetry-exporter-otlp-proto-grpc==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
"$dir/venv/bin/python" - 2>"$dir/log" <<'PYTHON' | tee "$dir/seen"
import os
import socket
import sys
import time

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def flush(name: str, listening: bool) -> None:
    with socket.socket() as collector:
        collector.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{collector.getsockname()[1]}"
        if listening:
            collector.listen()
        exporter = (
            Grpc(endpoint=endpoint, insecure=True)
            if name == "gRPC"
            else Http(endpoint=f"{endpoint}/v1/traces")
        )
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        provider.get_tracer("worker").start_span("process").end()
        began = time.monotonic()
        result = provider.force_flush(2000)
        seconds = time.monotonic() - began
        print(f"{name: >4}, took {seconds:.1f} s", file=sys.stderr)
        collector_is = "silent" if listening else "away"
        print(f"{name}, collector {collector_is}: {result}, within 2 s: {seconds <= 2}", flush=True)


for exporter_name in ("gRPC", "HTTP"):
    for is_listening in (False, True):
        flush(exporter_name, is_listening)
os._exit(0)
PYTHON
grep " took " "$dir/log"
diff - "$dir/seen" <<'SEEN' && echo "as described"
gRPC, collector away: True, within 2 s: False
gRPC, collector silent: True, within 2 s: False
HTTP, collector away: True, within 2 s: False
HTTP, collector silent: True, within 2 s: False
SEEN
