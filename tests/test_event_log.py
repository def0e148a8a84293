"""A burst of events makes a few lines and a count, and none is forgotten."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.event_log import MAX_LINES, WINDOW_SECONDS, EventLog, LineLimit, some
from jobsvc.tracing.json_log import JsonFormatter


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 2 * WINDOW_SECONDS)), max_size=60))
def test_every_line_is_written_or_counted(events: list[tuple[str, float]]) -> None:
    limit = LineLimit()
    now, written, counted = 0.0, 0, 0
    for kind, later in events:
        now += later / 10
        counted += sum(limit.take_missed(now).values())
        written += limit.admits(kind, now)
    counted += sum(limit.take_missed(now + WINDOW_SECONDS).values())
    assert written + counted == len(events)


@given(st.lists(st.floats(0, WINDOW_SECONDS / 10), min_size=1, max_size=200))
def test_no_window_has_more_lines_than_it_may(pauses: list[float]) -> None:
    limit, now, times = LineLimit(), 0.0, []
    for pause in pauses:
        now += pause
        if limit.admits("a", now):
            times.append(now)
    first = times[0]
    assert len([t for t in times if t - first < WINDOW_SECONDS]) <= MAX_LINES


def test_200_events_at_once_are_ten_lines_and_a_count(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    log = EventLog(logging.getLogger("jobsvc.test"), lambda: now[0])
    caplog.set_level(logging.INFO, "jobsvc.test")
    for number in range(200):
        log.tell(logging.WARNING, "lost", "worker %d is lost", number, worker_id=number)
    log.tell(logging.INFO, "came", "worker %d came", 7)
    log.tell_missed()
    assert [r.getMessage() for r in caplog.records] == [
        *(f"worker {number} is lost" for number in range(MAX_LINES)),
        "worker 7 came",
    ]
    now[0] = WINDOW_SECONDS
    log.tell_missed()
    log.tell_missed()
    last = caplog.records[-1]
    assert (len(caplog.records), last.levelname) == (MAX_LINES + 2, "WARNING")
    assert last.getMessage() == "and 190 more (lost)"
    line = json.loads(JsonFormatter().format(last))
    assert (line["event"], line["count"]) == ("lost", 190)


def test_what_is_left_is_told_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    log = EventLog(logging.getLogger("jobsvc.test"))
    for _ in range(MAX_LINES + 3):
        log.tell(logging.WARNING, "lost", "lost")
    log.tell_missed()
    assert "more" not in caplog.text
    log.tell_missed(at_end=True)
    assert caplog.records[-1].getMessage() == "and 3 more (lost)"


def test_long_lists_are_cut() -> None:
    names = list("abcdefg")
    assert some(names[:5], 5) == "a, b, c, d, e"
    assert some(names, 7) == some(names[:5], 7) == "a, b, c, d, e and 2 more"
