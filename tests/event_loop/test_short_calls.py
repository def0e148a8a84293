"""Short calls end before the next piece of long work, within bounds."""

import pytest

from jobsvc.event_loop.short_calls import MOST_HELD_SECONDS, SHORT_SECONDS, ShortCalls


def test_long_work_waits_while_a_short_call_is_in_progress() -> None:
    calls: ShortCalls[str] = ShortCalls()
    assert calls.hold_seconds(10.0) == 0
    calls.last_piece = 10.0
    calls.enter("a", 10.0)
    calls.enter("b", 10.0)
    assert calls.hold_seconds(10.0) == pytest.approx(MOST_HELD_SECONDS)
    assert not calls.leave("a")
    assert calls.hold_seconds(10.0) == pytest.approx(MOST_HELD_SECONDS)
    assert calls.leave("b")
    assert calls.hold_seconds(10.0) == 0


def test_short_calls_without_end_hold_up_each_piece_for_so_long() -> None:
    calls: ShortCalls[int] = ShortCalls()
    pieces = 0
    for millisecond in range(1000):
        calls.enter(millisecond, millisecond / 1000)
        calls.leave(millisecond - 3)
        if not calls.hold_seconds(millisecond / 1000):
            calls.last_piece = millisecond / 1000
            pieces += 1
    assert pieces >= 1 / (MOST_HELD_SECONDS + 0.001)


def test_a_call_that_waits_for_something_itself_holds_up_nobody() -> None:
    calls: ShortCalls[str] = ShortCalls()
    calls.enter("waits", 0.0)
    calls.enter("short", SHORT_SECONDS)
    calls.last_piece = SHORT_SECONDS
    assert calls.hold_seconds(SHORT_SECONDS) == pytest.approx(MOST_HELD_SECONDS)
    calls.leave("short")
    assert calls.hold_seconds(SHORT_SECONDS) == 0
    assert not calls.leave("waits")


def test_what_never_was_short_is_no_last_one() -> None:
    assert not ShortCalls[str]().leave("long")
