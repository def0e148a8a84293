"""A finished span as it stands in a trace file: one line of JSON, flat, in OTLP's words."""

import msgspec

Scalar = str | bool | int | float
Attributes = dict[str, Scalar | list[Scalar]]


class Link(msgspec.Struct, frozen=True):
    """Points at a related span, for instance from `process` to `send`."""

    trace_id: str
    span_id: str


class Event(msgspec.Struct, frozen=True):
    """Something that happened within a span, for instance an exception."""

    name: str
    time_ns: int
    attributes: Attributes = {}  # msgspec copies mutable defaults


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One finished span. Ids are lower-case hex; times are nanoseconds since 1970.

    `kind` is INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER; `status` is UNSET,
    OK or ERROR; `parent_id` is empty for the root of a trace.
    """

    trace_id: str
    span_id: str
    parent_id: str = ""
    name: str
    kind: str = "INTERNAL"
    service: str = ""
    start_ns: int
    end_ns: int
    status: str = "UNSET"
    status_message: str = ""
    attributes: Attributes = {}
    links: list[Link] = []
    events: list[Event] = []


def encode(span: Span) -> bytes:
    """The line of a span, line end included."""
    return msgspec.json.encode(span) + b"\n"


def decode(line: bytes) -> Span | None:
    """The span in a line; None for one that is torn, as the last one of a killed process may be."""
    try:
        return msgspec.json.decode(line, type=Span)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
