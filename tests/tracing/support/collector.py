"""An OTLP collector, by gRPC and by HTTP, that remembers what it is sent."""

import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import (
    MetricsServiceServicer,
    add_MetricsServiceServicer_to_server,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource


class Collector(TraceServiceServicer, MetricsServiceServicer):
    """What came: the names of spans and metrics, and the resource of each request."""

    def __init__(self) -> None:
        self.names: list[str] = []
        #: Kind, unit, description, and the sets of attribute keys, of each metric.
        self.metrics: dict[str, tuple[str, str, str, set[tuple[str, ...]]]] = {}
        self.resources: list[dict[str, str]] = []

    def Export(
        self,
        request: ExportTraceServiceRequest | ExportMetricsServiceRequest,
        context: grpc.ServicerContext | None,
    ) -> ExportTraceServiceResponse | ExportMetricsServiceResponse:
        if isinstance(request, ExportMetricsServiceRequest):
            for metered in request.resource_metrics:
                self._note(metered.resource)
                for scope in metered.scope_metrics:
                    self.names.extend(metric.name for metric in scope.metrics)
                    for metric in scope.metrics:
                        self._describe(metric)
            return ExportMetricsServiceResponse()
        for traced in request.resource_spans:
            self._note(traced.resource)
            for spans in traced.scope_spans:
                self.names.extend(span.name for span in spans.spans)
        return ExportTraceServiceResponse()

    def _describe(self, metric: Metric) -> None:
        kind = metric.WhichOneof("data") or ""
        points = getattr(metric, kind).data_points
        keys = {tuple(sorted(a.key for a in point.attributes)) for point in points}
        _, _, _, before = self.metrics.get(metric.name, ("", "", "", set()))
        self.metrics[metric.name] = (kind, metric.unit, metric.description, before | keys)

    def _note(self, resource: Resource) -> None:
        self.resources.append({a.key: a.value.string_value for a in resource.attributes})


@contextmanager
def grpc_collector() -> Iterator[tuple[Collector, str]]:
    """A collector and its endpoint."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    add_TraceServiceServicer_to_server(collector, server)
    add_MetricsServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@contextmanager
def http_collector() -> Iterator[tuple[Collector, str]]:
    """The same, over HTTP with protobuf."""
    collector = Collector()
    kinds: dict[str, Any] = {
        "/v1/traces": ExportTraceServiceRequest,
        "/v1/metrics": ExportMetricsServiceRequest,
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.Export(kinds[self.path].FromString(body), None)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield collector, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
