"""The span around a call."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace

from jobsvc import telemetry
from jobsvc.client.errors import CallFailed


@contextmanager
def call_span(method: str) -> Iterator[trace.Span]:
    """Opens a span of kind CLIENT around the call of `method` (`jobsvc.v1.JobService/GetJob`).

    Costs next to nothing when no tracer provider is set; the server still gets
    the context of the surrounding span.
    """
    tracer = trace.get_tracer("jobsvc.client")
    with tracer.start_as_current_span(
        method,
        kind=trace.SpanKind.CLIENT,
        attributes={telemetry.RPC_SYSTEM: "grpc", telemetry.RPC_METHOD: method},
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except CallFailed as failure:
            span.set_attribute(telemetry.RPC_STATUS_CODE, failure.code)
            span.set_attribute(telemetry.ERROR_TYPE, failure.reason or failure.code)
            span.set_status(trace.StatusCode.ERROR, str(failure))
            raise
        span.set_attribute(telemetry.RPC_STATUS_CODE, "OK")
