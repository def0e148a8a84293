#!/usr/bin/env bash
# One would guess: an aggregation that an exporter cannot show costs that one metric, with a warning.
#
# True (opentelemetry-exporter-prometheus 0.66b2, SDK 1.45.2): one instrument with the exponential
# histogram aggregation, an ordinary aggregation of the SDK, makes every scrape fail with an
# AttributeError, HTTP 500 at the endpoint. All other metrics of the process are lost with it.
#
# Source: the exporter's code knows number and explicit histogram points only; the SDK's documentation
# offers ExponentialBucketHistogramAggregation for any histogram, by a view as here or by the variable
# OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION for OTLP.
#
# Why it matters: run times of jobs spread over six orders of magnitude, which is what exponential
# histograms are made for; whoever adds one blinds the alerts of the whole service. Give histograms
# explicit bounds while Prometheus scrapes them.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  opentelemetry-sdk==1.45.2 opentelemetry-exporter-prometheus==0.66b2 prometheus-client==0.26.0
"$dir/venv/bin/python" - 2>"$dir/log" <<'PYTHON' | tee "$dir/seen"
from urllib.error import HTTPError
from urllib.request import urlopen

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from prometheus_client import start_http_server


def scrape() -> None:
    try:
        with urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        print("HTTP", answer.status, "with the counter:", "jobs_ended_total" in text)
    except HTTPError as error:
        print("HTTP", error.code)


view = View(
    instrument_name="jobs.run_time", aggregation=ExponentialBucketHistogramAggregation()
)
meter = MeterProvider(metric_readers=[PrometheusMetricReader()], views=[view]).get_meter("jobs")
server, _ = start_http_server(0, addr="127.0.0.1")
meter.create_counter("jobs.ended").add(1, {"queue": "emails"})
scrape()
meter.create_histogram("jobs.run_time", unit="s").record(0.2, {"queue": "emails"})
scrape()
server.shutdown()
PYTHON
grep -m 1 -o "AttributeError: .*" "$dir/log" | tee -a "$dir/seen"
diff - "$dir/seen" <<'SEEN' && echo "as described"
HTTP 200 with the counter: True
HTTP 500
AttributeError: 'ExponentialHistogramDataPoint' object has no attribute 'value'
SEEN
