"""A loop that is blocked shows in the metric, and once in the log."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
)

from jobsvc.event_loop.lag import watch_loop
from jobsvc.telemetry.catalogue import LOOP_LAG
from tests.support.probe import eventually


def read(reader: InMemoryMetricReader) -> HistogramDataPoint:
    """The one point of the one metric."""
    data = reader.get_metrics_data()
    assert data is not None
    [resource] = data.resource_metrics
    [scope] = resource.scope_metrics
    [metric] = scope.metrics
    assert (metric.name, metric.unit) == (LOOP_LAG.name, "s")
    [point] = metric.data.data_points
    assert isinstance(point, HistogramDataPoint)
    return point


def count(reader: InMemoryMetricReader) -> int:
    """Returns the number of lags that were measured."""
    return read(reader).count if reader.get_metrics_data() is not None else 0


@pytest.fixture
async def reader() -> AsyncIterator[InMemoryMetricReader]:
    """Reads the lag of this test's loop."""
    found = InMemoryMetricReader()
    provider = MeterProvider([found], shutdown_on_exit=False)
    watch = asyncio.create_task(watch_loop(provider.get_meter("jobsvc"), warn_seconds=0.05))
    await asyncio.sleep(0)
    yield found
    watch.cancel()
    provider.shutdown()


async def block(reader: InMemoryMetricReader, seconds: float) -> None:
    """Blocks the loop, and returns when that has been seen."""
    seen = await eventually(lambda: count(reader))
    time.sleep(seconds)  # noqa: ASYNC251  # the defect that must be seen
    await eventually(lambda: count(reader) > seen)


async def test_blocked_loop_shows_in_the_histogram(reader: InMemoryMetricReader) -> None:
    await block(reader, 0.12)
    point = read(reader)
    assert point.explicit_bounds == LOOP_LAG.boundaries
    assert 0.1 <= point.max < 10
    above_100_ms = point.bucket_counts[LOOP_LAG.boundaries.index(0.1) + 1 :]
    assert sum(above_100_ms) >= 1


async def test_log_says_it_once_in_a_while(
    reader: InMemoryMetricReader, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        await block(reader, 0.1)
    lines = [r.getMessage() for r in caplog.records if r.name == "jobsvc.event_loop.lag"]
    [line] = lines
    assert line.startswith("the event loop was blocked for ")
