#!/usr/bin/env bash
# One would guess: `OTEL_EXPORTER_OTLP_TIMEOUT=2000` makes an exporter give a batch up after two
# seconds, whatever the language.
#
# True (opentelemetry-exporter-otlp-proto-grpc and -http 1.45.2): Python's exporters read seconds.
# With 2000 a collector that accepts connections and says nothing holds an export up for more than
# half an hour; with 1 both give up after a second. The specification's own default, 10000, would be
# almost three hours.
#
# Source: the specification (SDK configuration by environment variables: a duration is a whole number
# of milliseconds; the OTLP exporter's timeout is one, 10 s by default); the exporters of Python pass
# float(value) on as seconds.
#
# Why it matters: one environment for all containers of a deployment is common. Workers whose SDK
# follows the specification give up after two seconds; the Python ones hang in their exporter as soon
# as the collector stalls, and at exit. Set the variable per language, or the timeout in code, and
# bound the flush at exit yourself.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check opentelemetry-sdk==1.45.2 \
  opentelemetry-exporter-otlp-proto-grpc==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2
cat >"$dir/export.py" <<'PYTHON'
"""Exports one span to a collector that accepts connections and never answers."""

import os
import socket
import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

with socket.socket() as collector:
    collector.bind(("127.0.0.1", 0))
    collector.listen()
    endpoint = f"http://127.0.0.1:{collector.getsockname()[1]}"
    if sys.argv[1] == "gRPC":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True)
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("worker").start_span("process").end()
    os._exit(0)
PYTHON
for protocol in gRPC HTTP; do
  for value in 1 2000; do
    if OTEL_EXPORTER_OTLP_TIMEOUT=$value timeout 12 "$dir/venv/bin/python" "$dir/export.py" \
      "$protocol" 2>/dev/null; then
      echo "$protocol, OTEL_EXPORTER_OTLP_TIMEOUT=$value: gave up within 12 s"
    else
      echo "$protocol, OTEL_EXPORTER_OTLP_TIMEOUT=$value: still waits after 12 s"
    fi
  done
done | tee "$dir/seen"
diff - "$dir/seen" <<'SEEN' && echo "as described"
gRPC, OTEL_EXPORTER_OTLP_TIMEOUT=1: gave up within 12 s
gRPC, OTEL_EXPORTER_OTLP_TIMEOUT=2000: still waits after 12 s
HTTP, OTEL_EXPORTER_OTLP_TIMEOUT=1: gave up within 12 s
HTTP, OTEL_EXPORTER_OTLP_TIMEOUT=2000: still waits after 12 s
SEEN
