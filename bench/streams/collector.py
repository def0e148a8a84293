"""The collector that the measured server sends its metrics to: how late its event loop was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from grpc import aio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)

from jobsvc.telemetry.catalogue import LOOP_LAG

_EXPORT_SECONDS = 0.5
_LIMIT_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Lag:
    """How often the loop was probed, how often it was more than 20 ms late, and its worst."""

    probes: int
    over_20_ms: int
    max_ms: float


class LagCollector(MetricsServiceServicer):
    """Adds up the exports between two `take`s."""

    def __init__(self) -> None:
        self._probes = 0
        self._over = 0
        self._max_seconds = 0.0
        #: Its address.
        self.endpoint = ""

    @property
    def environment(self) -> Mapping[str, str]:
        """Makes a server send its metrics here, each half second those of that half second."""
        return {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": self.endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": str(1000 * _EXPORT_SECONDS),
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        }

    async def Export(  # noqa: N802  # named by OTLP
        self, request: ExportMetricsServiceRequest, context: object
    ) -> ExportMetricsServiceResponse:
        """One export."""
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == LOOP_LAG.name:
                        for point in metric.histogram.data_points:
                            first = list(point.explicit_bounds).index(_LIMIT_SECONDS) + 1
                            self._probes += point.count
                            self._over += sum(point.bucket_counts[first:])
                            self._max_seconds = max(self._max_seconds, point.max)
        return ExportMetricsServiceResponse()

    async def take(self) -> Lag:
        """Returns the lag since the last time, up to now."""
        await asyncio.sleep(2 * _EXPORT_SECONDS)
        lag = Lag(self._probes, self._over, 1000 * self._max_seconds)
        self._probes, self._over, self._max_seconds = 0, 0, 0.0
        return lag


@asynccontextmanager
async def collecting() -> AsyncIterator[LagCollector]:
    """A collector that listens for the length of the block."""
    collector = LagCollector()
    server = aio.server()
    add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(None)
