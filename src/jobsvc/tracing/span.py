"""A finished span as a line of a trace file: flat JSON, in the words of OTLP."""

import msgspec

Scalar = str | bool | int | float
Attributes = dict[str, Scalar | list[Scalar]]


class Link(msgspec.Struct, frozen=True):
    """A related span, for instance the `send` of a `process`."""

    trace_id: str
    span_id: str


class Event(msgspec.Struct, frozen=True):
    """An event within a span, for instance an exception."""

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
    """Returns the line of a span, line end included."""
    return msgspec.json.encode(span) + b"\n"


def decode(line: bytes) -> Span | None:
    """Returns the span in a line; None for a torn line, which a killed process may leave."""
    try:
        return msgspec.json.decode(line, type=Span)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
