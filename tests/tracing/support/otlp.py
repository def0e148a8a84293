"""Spans as OTLP has them: by Protobuf's JSON, and by OTLP's own rules for it."""

import json
from collections import defaultdict
from collections.abc import Iterable

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as pb

from jobsvc.tracing.span import Attributes, Scalar, Span


def traces_data(spans: Iterable[Span]) -> pb.TracesData:
    """The spans, by service."""
    of_services = defaultdict(list)
    for span in spans:
        of_services[span.service].append(_message(span))
    return pb.TracesData(
        resource_spans=[
            pb.ResourceSpans(
                resource=Resource(attributes=_pairs({"service.name": service} if service else {})),
                scope_spans=[pb.ScopeSpans(spans=found)],
            )
            for service, found in of_services.items()
        ]
    )


def protobuf_json(spans: Iterable[Span]) -> str:
    """Ids in base64, enumerations by name: the list below `resourceSpans`."""
    return json.dumps(MessageToDict(traces_data(spans)).get("resourceSpans", []))


def otlp_json(spans: Iterable[Span]) -> str:
    """Ids in hex, enumerations as numbers: the list below `resourceSpans`."""
    data = traces_data(spans)
    found = MessageToDict(data, use_integers_for_enums=True).get("resourceSpans", [])
    for of_service, message in zip(found, data.resource_spans, strict=True):
        sent = message.scope_spans[0].spans
        for span, original in zip(of_service["scopeSpans"][0]["spans"], sent, strict=True):
            span["traceId"], span["spanId"] = original.trace_id.hex(), original.span_id.hex()
            if original.parent_span_id:
                span["parentSpanId"] = original.parent_span_id.hex()
            for link, linked in zip(span.get("links", []), original.links, strict=True):
                link["traceId"], link["spanId"] = linked.trace_id.hex(), linked.span_id.hex()
    return json.dumps(found)


def _message(span: Span) -> pb.Span:
    return pb.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        name=span.name,
        kind=pb.Span.SpanKind.Value(f"SPAN_KIND_{span.kind}"),
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=_pairs(span.attributes),
        events=[
            pb.Span.Event(name=e.name, time_unix_nano=e.time_ns, attributes=_pairs(e.attributes))
            for e in span.events
        ],
        links=[
            pb.Span.Link(trace_id=bytes.fromhex(n.trace_id), span_id=bytes.fromhex(n.span_id))
            for n in span.links
        ],
        status=pb.Status(
            code=pb.Status.StatusCode.Value(f"STATUS_CODE_{span.status}"),
            message=span.status_message,
        ),
    )


def _pairs(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: Scalar | list[Scalar]) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
    return AnyValue(array_value=ArrayValue(values=[_value(one) for one in value]))
