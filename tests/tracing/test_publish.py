"""What a process has measured is what the SDK collects, in either temporality."""

from tests.tracing.support.process import run

PUBLISHES = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from jobsvc.telemetry.catalogue import HORIZON_AGE, JOB_RUN, JOBS_CREATED
from jobsvc.telemetry.measurements import Measurements
from jobsvc.tracing.publish import published

delta = dict.fromkeys((Histogram, ObservableCounter), AggregationTemporality.DELTA)
readers = InMemoryMetricReader(), InMemoryMetricReader(preferred_temporality=delta)
metrics.set_meter_provider(MeterProvider(readers, shutdown_on_exit=False))

def show():
    for reader in readers:
        data = reader.get_metrics_data()
        found = {m.name: m.data for r in data.resource_metrics for s in r.scope_metrics
                 for m in s.metrics}
        (run,) = found["jobsvc.job.run.duration"].data_points
        (created,) = found["jobsvc.jobs.created"].data_points
        print(found["jobsvc.job.run.duration"].aggregation_temporality.name, run.count, run.sum,
              sum(run.bucket_counts), dict(run.attributes), created.value,
              "jobsvc.database.horizon.age" in found)

measurements = Measurements()
run, created = measurements.distribution(JOB_RUN), measurements.tally(JOBS_CREATED)
measurements.gauge(HORIZON_AGE, lambda: [((), 0.0)])
with published(measurements) as is_published:
    print(is_published)
    run.record_all([1.0, 2.0], "q")
    created.add(5, "q")
    show()
    run.record(4.0, "q")
    created.add(1, "q")
    show()
run.record(8.0, "q")
show()
"""


def test_readers_get_all_or_what_is_new_as_they_prefer() -> None:
    done = run(PUBLISHES)
    assert done.stderr == ""
    queue = "{'queue': 'q'}"
    assert done.stdout.splitlines() == [
        "True",
        f"CUMULATIVE 2 3.0 2 {queue} 5 True",
        f"DELTA 2 3.0 2 {queue} 5 True",
        f"CUMULATIVE 3 7.0 3 {queue} 6 True",
        f"DELTA 1 4.0 1 {queue} 1 True",
        # The last export comes after the end: of counts, and of nothing that is gone.
        f"CUMULATIVE 4 15.0 4 {queue} 6 False",
        f"DELTA 1 8.0 1 {queue} 0 False",
    ]


EXEMPLIFIES = """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from jobsvc.telemetry.catalogue import JOB_RUN, JOBS_CREATED
from jobsvc.telemetry.measurements import Measurements
from jobsvc.tracing.publish import published

delta = {Histogram: AggregationTemporality.DELTA}
readers = InMemoryMetricReader(), InMemoryMetricReader(preferred_temporality=delta)
metrics.set_meter_provider(MeterProvider(readers, shutdown_on_exit=False))

def show():
    for reader in readers:
        data = reader.get_metrics_data()
        (run,) = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics
                  if m.name == "jobsvc.job.run.duration"]
        (point,) = run.data.data_points
        print([(e.value, f"{e.trace_id:x}", f"{e.span_id:x}") for e in point.exemplars])

measurements = Measurements()
run, created = measurements.distribution(JOB_RUN), measurements.tally(JOBS_CREATED)
created.add(1, "q")
with published(measurements):
    for value, text in ((1.0, f"00-{'a' * 32}-{'b' * 16}-01"), (40.0, "of a caller, no trace 1")):
        run.record(value, "q")
        run.exemplify(value, text, "q")
    show()
    run.record(2.0, "q")
    show()
"""


def test_examples_are_exemplars_of_the_next_collection_only() -> None:
    done = run(EXEMPLIFIES)
    assert done.stderr == ""
    expected = f"[(1.0, '{'a' * 32}', '{'b' * 16}')]"
    assert done.stdout.splitlines() == [expected, expected, "[]", "[]"]


def test_without_an_sdk_nothing_is_published() -> None:
    code = """
from jobsvc.telemetry.measurements import Measurements
from jobsvc.tracing.publish import published
with published(Measurements()) as is_published:
    print(is_published)
import sys; print("opentelemetry.sdk" in sys.modules)
"""
    assert run(code).stdout.split() == ["False", "False"]
