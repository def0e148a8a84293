"""W3C trace context: what is read of a call's metadata, and how much of it travels on."""

import pytest
from opentelemetry import trace

from jobsvc.telemetry import TRACESTATE_CHARACTERS, cut_tracestate, headers, parent, remote_parent

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def read(*metadata: tuple[str, str]) -> tuple[str, str]:
    """The headers that travel on from a call with this metadata."""
    context = remote_parent(metadata)
    return ("", "") if context is None else headers(trace.get_current_span(context))


def test_several_tracestate_headers_are_one_list() -> None:
    calls = [("tracestate", "a=1"), ("traceparent", TRACEPARENT), ("tracestate", "b=2,c=3")]
    assert read(*calls) == (TRACEPARENT, "a=1,b=2,c=3")


def test_two_traceparents_name_no_parent() -> None:
    assert read(("traceparent", TRACEPARENT), ("traceparent", TRACEPARENT)) == ("", "")


# 9,000 characters are more than OpenTelemetry reads at all.
@pytest.mark.parametrize("count", [6, 90])
def test_long_tracestate_loses_members_from_the_right(count: int) -> None:
    members = [f"m{number}={'x' * 100}" for number in range(count)]
    _, tracestate = read(
        ("traceparent", TRACEPARENT),
        ("tracestate", ",".join(members[:3])),
        ("tracestate", ",".join(members[3:])),
    )
    assert tracestate == ",".join(members[:4])


def test_member_that_a_sampler_adds_counts_too() -> None:
    full = f"a={'x' * 256},b={'x' * 200}"
    context = trace.get_current_span(parent(TRACEPARENT, full)).get_span_context()
    longer = trace.SpanContext(
        context.trace_id,
        context.span_id,
        True,
        context.trace_flags,
        context.trace_state.add("ot", "y" * 100),
    )
    assert headers(trace.NonRecordingSpan(longer))[1] == f"ot={'y' * 100},a={'x' * 256}"


@pytest.mark.parametrize(
    ("tracestate", "kept"),
    [
        ("a=" + "x" * 510, "a=" + "x" * 510),
        ("a=" + "x" * 510 + ",b=1", "a=" + "x" * 510),
        ("a=1,b=" + "x" * 507, "a=1"),
        ("a=" + "x" * 511, ""),
        ("", ""),
    ],
)
def test_no_member_is_cut_in_half(tracestate: str, kept: str) -> None:
    assert cut_tracestate(tracestate) == kept
    assert len(kept) <= TRACESTATE_CHARACTERS
