#!/usr/bin/env bash
# One would guess: a counter that is recorded once with {queue} and once with {reason} shows up in
# Prometheus as two series, each with the labels that it was recorded with.
#
# True (opentelemetry-exporter-prometheus 0.66b2, SDK 1.45.2): every series of the instrument gets the
# union of all keys that were seen, the missing ones with an empty value. Series of a process change
# the set of their labels when the first record with a new key arrives, in the middle of its life. And
# each line carries three more labels (otel_scope_name, otel_scope_version, otel_scope_schema_url),
# which a dashboard written for another client library does not expect.
#
# Source: the exporter builds one Prometheus metric family for an instrument, which has one list of
# label names; the specification of the exporter (Prometheus and OpenMetrics compatibility) asks for
# the scope labels, and in Prometheus' data model an empty label equals a missing one.
#
# Why it matters: since an empty label counts as missing, `sum without (...)`, joins by `on (...)` and
# alerts that say `reason=""` change their meaning on the day on which the first job is refused for a
# reason. Give all records of one instrument the same keys.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  opentelemetry-sdk==1.45.2 opentelemetry-exporter-prometheus==0.66b2 prometheus-client==0.26.0
"$dir/venv/bin/python" - <<'PYTHON' | tee "$dir/seen"
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest


def scrape() -> None:
    for line in generate_latest(REGISTRY).decode().splitlines():
        if line.startswith("jobs_refused_total"):
            print(line)


meter = MeterProvider(metric_readers=[PrometheusMetricReader()]).get_meter("jobs")
refused = meter.create_counter("jobs.refused")
refused.add(1, {"queue": "emails"})
scrape()
refused.add(1, {"reason": "full"})
scrape()
PYTHON
diff - "$dir/seen" <<'SEEN' && echo "as described"
jobs_refused_total{otel_scope_name="jobs",otel_scope_schema_url="",otel_scope_version="",queue="emails"} 1.0
jobs_refused_total{otel_scope_name="jobs",otel_scope_schema_url="",otel_scope_version="",queue="emails",reason=""} 1.0
jobs_refused_total{otel_scope_name="jobs",otel_scope_schema_url="",otel_scope_version="",queue="",reason="full"} 1.0
SEEN
