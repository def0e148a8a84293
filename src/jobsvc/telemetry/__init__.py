"""Every span, metric and attribute name there is, and how spans are made. Metrics are in
`catalogue`.

Names follow OpenTelemetry's messaging and RPC semantic conventions. A job's
trace: caller -> `jobsvc.v1.JobService/CreateJob` (SERVER) -> `send {queue}`
(PRODUCER, its context is stored with the job) -> `process {queue}` (CONSUMER,
in the worker, one per attempt) and `settle {queue}` (CLIENT, in the server).
"""

from collections.abc import Iterable

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

SYSTEM = "messaging.system"
DESTINATION = "messaging.destination.name"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
MESSAGE_ID = "messaging.message.id"
RPC_SYSTEM = "rpc.system.name"
RPC_METHOD = "rpc.method"
RPC_STATUS_CODE = "rpc.response.status_code"
ERROR_TYPE = "error.type"
JOB_ATTEMPT = "jobsvc.job.attempt"
JOB_STATE = "jobsvc.job.state"
WORKER_ID = "jobsvc.worker.id"

#: A longer `tracestate` is cut: W3C's Trace Context asks nobody to carry more.
TRACESTATE_CHARACTERS = 512

_PROPAGATOR = TraceContextTextMapPropagator()


def is_traced() -> bool:
    """Whether spans go anywhere: without a tracer provider, or with one of the SDK that sends them
    nowhere, as it makes for metrics alone, making them would be wasted."""
    provider = trace.get_tracer_provider()
    if type(provider) in (trace.ProxyTracerProvider, trace.NoOpTracerProvider):
        return False
    # The SDK has no other way to ask; a test notices when this one is gone.
    processors = getattr(provider, "_active_span_processor", None)
    return getattr(processors, "_span_processors", None) != ()


def messaging_attributes(operation: str, queue: str, job_id: str) -> dict[str, str | int]:
    """Attributes of a `send`, `process` or `settle` span of a job."""
    return {
        SYSTEM: "jobsvc",
        DESTINATION: queue,
        OPERATION_NAME: operation,
        OPERATION_TYPE: operation,
        MESSAGE_ID: job_id,
    }


def remote_parent(metadata: Iterable[tuple[str, str | bytes]]) -> Context | None:
    """The context of a call's caller; None when no `traceparent`, or more than one, names it."""
    traceparents: list[str] = []
    tracestates: list[str] = []
    for key, value in metadata:
        if key == "traceparent":
            traceparents.append(str(value))
        elif key == "tracestate":
            tracestates.append(str(value))
    return parent(traceparents[0], ",".join(tracestates)) if len(traceparents) == 1 else None


def parent(traceparent: str, tracestate: str = "") -> Context:
    """The context that a W3C `traceparent` names; an empty one for a bad or missing header."""
    carrier = {"traceparent": traceparent}
    if tracestate:
        carrier["tracestate"] = cut_tracestate(tracestate)
    return _PROPAGATOR.extract(carrier, context=Context())


def headers(span: trace.Span) -> tuple[str, str]:
    """`traceparent` and `tracestate` of a span; empty strings when it is not recording a trace."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, trace.set_span_in_context(span, Context()))
    return carrier.get("traceparent", ""), cut_tracestate(carrier.get("tracestate", ""))


def cut_tracestate(tracestate: str) -> str:
    """A `tracestate` without the members, from the right, that exceed `TRACESTATE_CHARACTERS`."""
    if len(tracestate) <= TRACESTATE_CHARACTERS:
        return tracestate
    # One character more, so that a comma right behind the last member counts as its end.
    return tracestate[: TRACESTATE_CHARACTERS + 1].rpartition(",")[0]
