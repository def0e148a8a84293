"""The small parts under the runner: mailbox, context, backoff."""

import asyncio
import threading
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.v1.worker_service_pb2 import JobLease
from jobsvc.worker import Cancelled, Context
from jobsvc.worker.attempt_times import sort_by_time
from jobsvc.worker.duration import to_duration
from jobsvc.worker.log_throttle import LogThrottle
from jobsvc.worker.mailbox import Mailbox
from jobsvc.worker.reconnect_backoff import Backoff, ReleaseBackoff
from jobsvc.worker.running_attempt import RunningAttempt, Stop
from jobsvc.worker.window import Window

WAIT = 10.0


async def test_mailbox_delivers_everything_in_order_from_many_threads() -> None:
    received: list[tuple[int, int]] = []
    complete = asyncio.Event()

    def receive(items: list[tuple[int, int]]) -> None:
        received.extend(items)
        if len(received) == 4000:
            complete.set()

    box = Mailbox(asyncio.get_running_loop(), receive)
    threads = [
        threading.Thread(target=lambda n=n: [box.put((n, i)) for i in range(1000)])
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    await asyncio.wait_for(complete.wait(), WAIT)
    for n in range(4):
        assert [i for m, i in received if m == n] == list(range(1000))


def test_mailbox_of_a_closed_loop_drops() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    Mailbox[int](loop, lambda items: None).put(1)


def test_progress_is_checked_and_cut() -> None:
    context = Context.for_test()
    context.progress(100, "x" * 501)
    assert context.last_progress == (100, "x" * 500)
    for percent in (-1, 101):
        with pytest.raises(ValueError, match="percent"):
            context.progress(percent)


async def test_stop_is_seen_everywhere() -> None:
    context = Context.for_test(attempt_timeout_seconds=60)
    assert 0 < context.remaining_seconds <= 60
    context.raise_if_cancelled()
    waiting = asyncio.ensure_future(context.wait_cancelled())
    await asyncio.sleep(0)
    context._attempt.request_stop(Stop.LOST)
    await asyncio.wait_for(waiting, WAIT)
    await context.wait_cancelled()
    assert context.cancelled
    with pytest.raises(Cancelled, match="lease was lost"):
        context.raise_if_cancelled()


def test_log_lines_name_the_job(caplog: pytest.LogCaptureFixture) -> None:
    Context.for_test("q", job_id="j1", attempt=2).logger.warning("hello %d", 1)
    (record,) = caplog.records
    assert record.getMessage() == "job j1: hello 1"
    assert record.name == "jobsvc.worker.q"
    assert vars(record)["attempt"] == 2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_backoff_grows_to_two_seconds(draws: list[float]) -> None:
    backoff = Backoff()
    for failures, draw in enumerate(draws):
        assert backoff.delay_seconds(draw) == min(2.0, 0.05 * 2**failures) * draw
    backoff.reset()
    assert backoff.delay_seconds(1.0) == 0.05


def test_releases_in_a_row_are_delayed_longer_and_longer() -> None:
    backoff, now = ReleaseBackoff(), 100.0
    delays = []
    for count in range(1, 9):
        in_a_row, delay = backoff.note("q", now)
        assert in_a_row == count
        delays.append(delay)
        now += delay
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.note("other", now) == (1, 1)
    assert backoff.note("q", now) == (9, 60)
    assert backoff.note("q", now + 59) == (10, 60), "a burst counts once"
    backoff.reset("q")
    assert backoff.note("q", now) == (1, 1)


def test_time_is_held_against_an_attempt_only_once_it_has_begun() -> None:
    lease = JobLease(attempt_timeout=to_duration(10))
    begun, waits = (RunningAttempt(lease, 0.0, lambda _: None) for _ in range(2))
    begun.begun = True
    assert sort_by_time([begun, waits], 0.9) == ([], [], 1.0)
    assert sort_by_time([begun, waits], 1.0) == ([], [waits], 10.0)
    assert sort_by_time([begun, waits], 10.0) == ([begun], [waits], inf)


def test_window_shrinks_to_what_is_left_and_grows_when_all_is_calm() -> None:
    window = Window(2, 20)
    window.shrink(5, now=0.0)
    assert window.leases == 5
    window.shrink(7, now=1.0)
    window.grow(now=10.9)
    assert window.leases == 5, "handing back does not widen it"
    window.shrink(0, now=11.0)
    assert window.leases == 2
    seen = []
    for now in range(21, 61, 10):
        window.grow(now)
        seen.append(window.leases)
    assert seen == [4, 8, 16, 20]
    window.paused = True
    assert window.leases == 0
    window.paused, window.retired = False, True
    assert window.leases == 0


def test_trouble_is_mentioned_at_once_and_then_every_ten_seconds() -> None:
    log_throttle = LogThrottle()
    assert [log_throttle.due(now) for now in (0.0, 1.0, 9.9, 10.0, 12.0)] == [
        True,
        False,
        False,
        True,
        False,
    ]
    log_throttle.reset()
    assert log_throttle.due(13.0)
