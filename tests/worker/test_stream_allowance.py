"""How much a stream carries after streams that broke."""

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.worker.stream_allowance import (
    FIRST_BYTES,
    FIRST_PAUSE_SECONDS,
    MAX_PAUSE_SECONDS,
    MIN_BYTES,
    StreamAllowance,
)

NGINX_BYTES = 1 << 20


def test_nothing_is_limited_until_a_stream_breaks() -> None:
    assert StreamAllowance().limit_bytes(0.0) == inf


def test_one_break_is_enough_for_the_default_of_nginx() -> None:
    allowance = StreamAllowance()
    assert allowance.note_break(NGINX_BYTES + 100, inf, 0.0)
    assert allowance.limit_bytes(1.0) == FIRST_BYTES < NGINX_BYTES


def test_break_of_a_stream_that_carried_little_limits_nothing() -> None:
    allowance = StreamAllowance()
    assert not allowance.note_break(MIN_BYTES - 1, inf, 0.0)
    assert allowance.limit_bytes(0.0) == inf


def test_frame_that_is_too_large_by_itself_makes_streams_no_smaller() -> None:
    allowance = StreamAllowance()
    allowance.note_break(3_000_000, inf, 0.0)
    assert not allowance.note_break(3_000_000, FIRST_BYTES, 1.0)
    assert allowance.limit_bytes(1.0) == FIRST_BYTES


def test_stream_without_a_limit_is_tried_after_a_pause_that_doubles() -> None:
    allowance = StreamAllowance()
    now, pause = 0.0, FIRST_PAUSE_SECONDS
    for _ in range(12):
        allowance.note_break(NGINX_BYTES, inf, now)
        assert allowance.limit_bytes(now + pause - 1) == FIRST_BYTES
        assert allowance.limit_bytes(now + pause) == inf
        now, pause = now + pause, min(2 * pause, MAX_PAUSE_SECONDS)


@given(
    proxy_bytes=st.integers(MIN_BYTES + 1, 50 * NGINX_BYTES),
    overshoot=st.floats(0.0, 0.9),
)
def test_limit_falls_below_that_of_any_proxy(proxy_bytes: int, overshoot: float) -> None:
    """Each stream carries what it may, and up to `overshoot` more until it breaks."""
    allowance, breaks = StreamAllowance(), 0
    while (limit := allowance.limit_bytes(0.0)) > proxy_bytes:
        allowance.note_break(int(min(limit, proxy_bytes) * (1 + overshoot)), limit, 0.0)
        breaks += 1
        assert breaks <= 5
