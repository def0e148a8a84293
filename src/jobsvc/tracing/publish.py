"""Hands measurements to the OpenTelemetry SDK whenever that collects them."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from opentelemetry import metrics, trace

from jobsvc import telemetry
from jobsvc.telemetry.catalogue import Instrument, Kind
from jobsvc.telemetry.measurements import Attributes, Example, Measurements

_METER = "jobsvc"

Read = Callable[[], Iterable[tuple[Attributes, float]]]


@contextmanager
def published(measurements: Measurements) -> Iterator[bool]:
    """Publishes measurements while the block runs, if this process exports metrics at all, which
    it yields. What was counted stays published after it: the last export of a process comes later.
    """
    provider = metrics.get_meter_provider()
    # Of the SDK; those of the API alone send nothing.
    if not hasattr(provider, "_measurement_consumer"):
        yield False
        return
    histograms = _Histograms(measurements, time.time_ns())
    meter = metrics.get_meter(_METER)
    is_open = [True]
    for instrument, tally in measurements.tallies.items():
        _observe(meter, instrument, tally.read, [True])
    for instrument, read in measurements.gauges.items():
        _observe(meter, instrument, read, is_open)
    readers = _readers(provider)
    for reader in readers:
        reader._set_collect_callback(histograms.beside(reader._collect, _is_delta(reader)))
    try:
        yield True
    finally:
        is_open[0] = False


def _readers(provider: Any) -> Sequence[Any]:  # Any: the SDK's own, which have no public list
    """The readers of a provider. The SDK for Python has no way to hand it histograms that somebody
    else has counted (`MetricProducer` elsewhere), so they join what a reader collects."""
    return [r for r in list(provider._all_metric_readers) if r._collect is not None]


def _is_delta(reader: Any) -> bool:
    """Whether the backend of a reader wants what histograms have had since it last asked."""
    return any(
        issubclass(kind, metrics.Histogram) and temporality.name == "DELTA"
        for kind, temporality in reader._instrument_class_temporality.items()
    )


def _observe(
    meter: metrics.Meter, instrument: Instrument, read: Read, is_open: Sequence[bool]
) -> None:
    def observe(_: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        if not is_open[0]:  # What it would read is gone; an instrument cannot be taken back.
            return []
        return [
            # A boolean would keep the exporter by OTLP from sending anything.
            metrics.Observation(+value, dict(zip(instrument.attributes, values, strict=True)))
            for values, value in read()
        ]

    create = {
        Kind.COUNTER: meter.create_observable_counter,
        Kind.GAUGE: meter.create_observable_gauge,
    }[instrument.kind]
    create(instrument.name, [observe], instrument.unit, instrument.description)


class _Histograms:
    """The distributions of the measurements, as the SDK has histograms."""

    def __init__(self, measurements: Measurements, start_nanos: int) -> None:
        self._distributions = measurements.distributions
        self._start_nanos = start_nanos

    def beside(self, collect: Callable[..., Any], is_delta: bool) -> Callable[..., Any]:
        """Returns a `collect` of a reader that has the histograms, too. Any: the SDK's data."""
        told = _Told(self._start_nanos, is_delta)

        def both(*arguments: Any, **options: Any) -> Any:
            data = collect(*arguments, **options)
            if data is None or not data.resource_metrics:
                return data
            first, *others = data.resource_metrics
            found = list(self._metrics(told))
            scopes = [
                replace(scope, metrics=[*scope.metrics, *found])
                if scope.scope.name == _METER
                else scope
                for scope in first.scope_metrics
            ]
            return replace(data, resource_metrics=[replace(first, scope_metrics=scopes), *others])

        return both

    def _metrics(self, told: "_Told") -> Iterator[Any]:
        from opentelemetry.sdk.metrics.export import (
            AggregationTemporality,
            Histogram,
            HistogramDataPoint,
            Metric,
        )

        temporality = (
            AggregationTemporality.DELTA if told.is_delta else AggregationTemporality.CUMULATIVE
        )
        now = time.time_ns()
        for instrument, distribution in list(self._distributions.items()):
            points = []
            for values, buckets in distribution.read():
                counts, total = told.new(instrument, values, list(buckets.counts), buckets.sum)
                points.append(
                    HistogramDataPoint(
                        dict(zip(instrument.attributes, values, strict=True)),
                        told.since_nanos,
                        now,
                        sum(counts),
                        total,
                        counts,
                        instrument.boundaries,
                        # Not known, which the protocol allows.
                        min=None,  # type: ignore[arg-type]
                        max=None,  # type: ignore[arg-type]
                        exemplars=list(
                            _exemplars(list(buckets.examples.values()), told.examples_nanos)
                        ),
                    )
                )
            if points:
                data = Histogram(points, temporality)
                yield Metric(instrument.name, instrument.description, instrument.unit, data)
        told.examples_nanos = now
        if told.is_delta:
            told.since_nanos = now


def _exemplars(examples: Iterable[Example], since_nanos: int) -> Iterator[Any]:  # Any: the SDK's
    """Those since a moment. What a caller has sent as its `traceparent` may be none."""
    from opentelemetry.sdk.metrics import Exemplar

    for value, time_nanos, traceparent in examples:
        context = trace.get_current_span(telemetry.parent(traceparent)).get_span_context()
        if time_nanos >= since_nanos and context.is_valid and context.trace_flags.sampled:
            yield Exemplar({}, value, time_nanos, context.span_id, context.trace_id)


class _Told:
    """What one reader has been told already, if it wants differences."""

    def __init__(self, since_nanos: int, is_delta: bool) -> None:
        self.since_nanos = since_nanos
        #: Since when examples are new to it.
        self.examples_nanos = since_nanos
        self.is_delta = is_delta
        self._before: dict[tuple[str, Attributes], tuple[list[int], float]] = {}

    def new(
        self, instrument: Instrument, values: Attributes, counts: list[int], total: float
    ) -> tuple[list[int], float]:
        """Returns the counts of the buckets and the sum that the reader is to be told."""
        if not self.is_delta:
            return counts, total
        key = instrument.name, values
        old_counts, old_total = self._before.get(key, ([0] * len(counts), 0.0))
        self._before[key] = counts, total
        return [now - old for now, old in zip(counts, old_counts, strict=True)], total - old_total
