"""Spans come out of OTLP's JSON as they went in, however ids and enumerations are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.tracing.otlp_json import decode_traces
from jobsvc.tracing.span import Event, Link, Span
from tests.tracing.support.otlp import otlp_json, protobuf_json

_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_NANOS = st.integers(0, 2**63)
_SCALARS = st.one_of(
    _TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False)
)
_ATTRIBUTES = st.dictionaries(
    _TEXT, st.one_of(_SCALARS, st.lists(_SCALARS, max_size=3)), max_size=3
)


def _ids(size: int) -> st.SearchStrategy[str]:
    return st.binary(min_size=size, max_size=size).filter(any).map(bytes.hex)


_SPANS = st.builds(
    Span,
    trace_id=_ids(16),
    span_id=_ids(8),
    parent_id=st.one_of(st.just(""), _ids(8)),
    name=_TEXT,
    kind=st.sampled_from(["INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]),
    service=_TEXT,
    start_ns=_NANOS,
    end_ns=_NANOS,
    status=st.sampled_from(["UNSET", "OK", "ERROR"]),
    status_message=_TEXT,
    attributes=_ATTRIBUTES,
    links=st.lists(st.builds(Link, _ids(16), _ids(8)), max_size=2),
    events=st.lists(st.builds(Event, _TEXT, _NANOS, _ATTRIBUTES), max_size=2),
)


@given(st.lists(_SPANS, max_size=3))
def test_spans_come_out_as_they_went_in(spans: list[Span]) -> None:
    for written in (otlp_json, protobuf_json):
        for form in (
            '{"resourceSpans": %s}',
            '{"batches": %s}',
            '{"trace": {"resourceSpans": %s}}',
            '{"result": {"resourceSpans": %s}}',
        ):
            found = decode_traces((form % written(spans)).encode())
            assert sorted(found, key=_key) == sorted(spans, key=_key)


def _key(span: Span) -> tuple[str, str, str]:
    return span.trace_id, span.span_id, repr(span)


def test_ids_without_zeros_in_front_have_them_again() -> None:
    (span,) = decode_traces(
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"A1","spanId":"2",'
        b'"parentSpanId":"0000000000000000"}]}]}]}'
    )
    assert (span.trace_id, span.span_id, span.parent_id) == (f"{'0' * 30}a1", f"{'0' * 15}2", "")


@pytest.mark.parametrize("text", ['{"resourceMetrics":[{"scopeMetrics":[]}]}', "{}"])
def test_what_is_about_something_else_has_no_spans(text: str) -> None:
    assert decode_traces(text.encode()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        "[]",
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{}]}]}]}',
        '{"batches":[{"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b","kind":9}]}]}]}',
        '{"batches":[{"scopeSpans":[{"spans":[{"traceId":"a=","spanId":"b"}]}]}]}',
        '{"batches":[{"scopeSpans":[{"spans":[{"traceId":"a","spanId":"b",'
        '"startTimeUnixNano":"now"}]}]}]}',
    ],
)
def test_what_is_malformed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no spans as OTLP has them in JSON"):
        decode_traces(text.encode())
