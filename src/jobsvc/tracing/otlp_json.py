"""Spans as OTLP has them in JSON, which the collector's file exporter writes, and Jaeger and Tempo
answer with. Pure.

Jaeger and the collector write ids in hex and enumerations as numbers, as OTLP says; Tempo has them
in base64 and by name, as Protobuf does.
"""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from jobsvc.tracing.span import Attributes, Event, Link, Scalar, Span

#: By number. What is not specified is as the SDK has it.
_KINDS = ("INTERNAL", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")
_SERVICE = "service.name"


class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    #: Maps, and values in lists that are none of the above, are shown as they stand.
    array_value: Any = None
    kvlist_value: Any = None
    bytes_value: str | None = None


class _KeyValue(msgspec.Struct):
    key: str = ""
    value: _Value = msgspec.field(default_factory=_Value)


class _Event(msgspec.Struct, rename="camel"):
    name: str = ""
    time_unix_nano: int | str = 0
    attributes: list[_KeyValue] = []


class _Link(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""


class _Status(msgspec.Struct):
    code: int | str = 0
    message: str = ""


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str
    span_id: str
    parent_span_id: str = ""
    name: str = ""
    kind: int | str = 0
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    attributes: list[_KeyValue] = []
    events: list[_Event] = []
    links: list[_Link] = []
    status: _Status = msgspec.field(default_factory=_Status)


class _Scope(msgspec.Struct):
    spans: list[_Span] = []


class _Resource(msgspec.Struct):
    attributes: list[_KeyValue] = []


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource = msgspec.field(default_factory=_Resource)
    scope_spans: list[_Scope] = []


class _Traces(msgspec.Struct, rename="camel"):
    """The forms that there are: OTLP's own; `batches` in Tempo's first API, `trace` in its second;
    `result` in Jaeger's third."""

    resource_spans: list[_ResourceSpans] = []
    batches: list[_ResourceSpans] = []
    trace: "_Traces | None" = None
    result: "_Traces | None" = None


_DECODER = msgspec.json.Decoder(_Traces)


def decode_traces(data: bytes) -> list[Span]:
    """Returns the spans of an object; none if it has none, as one with metrics or logs.

    Raises:
        ValueError: it is not JSON, or not as OTLP has spans.
    """
    try:
        return list(_spans(_DECODER.decode(data)))
    except (msgspec.MsgspecError, ValueError, IndexError) as error:
        raise ValueError(f"no spans as OTLP has them in JSON: {error}") from None


def _spans(traces: _Traces) -> Iterator[Span]:
    for inner in (traces.trace, traces.result):
        if inner is not None:
            yield from _spans(inner)
    for resource in (*traces.resource_spans, *traces.batches):
        service = str(_attributes(resource.resource.attributes).get(_SERVICE, ""))
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _flat(span, service)


def _flat(span: _Span, service: str) -> Span:
    return Span(
        trace_id=_hex(span.trace_id, 16),
        span_id=_hex(span.span_id, 8),
        parent_id=_hex(span.parent_span_id, 8),
        name=span.name,
        kind=_name(span.kind, "SPAN_KIND_", _KINDS),
        service=service,
        start_ns=int(span.start_time_unix_nano),
        end_ns=int(span.end_time_unix_nano),
        status=_name(span.status.code, "STATUS_CODE_", _STATUSES),
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        links=[Link(_hex(link.trace_id, 16), _hex(link.span_id, 8)) for link in span.links],
        events=[
            Event(e.name, int(e.time_unix_nano), _attributes(e.attributes)) for e in span.events
        ],
    )


def _hex(text: str, size: int) -> str:
    """An id in hex, whose zeros in front some leave out; base64 of so many bytes ends with `=`."""
    if text.endswith("="):
        text = base64.b64decode(text).hex()
    text = text.lower().rjust(2 * size, "0") if text else ""
    return "" if text.strip("0") == "" else text


def _name(value: int | str, prefix: str, names: tuple[str, ...]) -> str:
    if isinstance(value, int):
        return names[value]
    name = value.removeprefix(prefix)
    return name if name in names else names[0]


def _attributes(pairs: list[_KeyValue]) -> Attributes:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: _Value) -> Scalar | list[Scalar]:
    for scalar in (value.string_value, value.bool_value, value.bytes_value):
        if scalar is not None:
            return scalar
    if value.int_value is not None:
        return int(value.int_value)
    if value.double_value is not None:
        return float(value.double_value)
    if value.array_value is not None:
        values = msgspec.convert(value.array_value.get("values", []), list[_Value])
        return [
            v if isinstance(v := _plain(one), str | bool | int | float) else str(v)
            for one in values
        ]
    return "" if value.kvlist_value is None else msgspec.json.encode(value.kvlist_value).decode()
