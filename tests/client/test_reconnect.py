"""When to try again, and when to give up."""

from jobsvc.client import JobNotFound, Overloaded, Unavailable
from jobsvc.client.reconnect import ReconnectPolicy

AWAY = Unavailable("UNAVAILABLE", "away")


def test_pauses_grow_up_to_a_bound() -> None:
    reconnect = ReconnectPolicy(first_seconds=100, seconds=100)
    pauses = [reconnect.pause_seconds(AWAY, now=0, spread=0) for _ in range(7)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 1.6, 1.6, 1.6]


def test_pauses_are_spread() -> None:
    assert ReconnectPolicy(9, 9).pause_seconds(AWAY, now=0, spread=1) == 0.2 * 1.2


def test_a_server_that_never_answered_is_given_up_sooner() -> None:
    reconnect = ReconnectPolicy(first_seconds=10, seconds=60)
    assert reconnect.pause_seconds(AWAY, now=100, spread=0) is not None
    assert reconnect.pause_seconds(AWAY, now=110, spread=0) is None

    reconnect = ReconnectPolicy(first_seconds=10, seconds=60)
    reconnect.answered()
    assert reconnect.pause_seconds(AWAY, now=100, spread=0) is not None
    assert reconnect.pause_seconds(AWAY, now=159, spread=0) is not None
    assert reconnect.pause_seconds(AWAY, now=160, spread=0) is None


def test_failures_before_an_answer_do_not_count() -> None:
    reconnect = ReconnectPolicy(10, 60)
    reconnect.answered()
    reconnect.pause_seconds(AWAY, now=0, spread=0)
    reconnect.answered()
    assert reconnect.pause_seconds(AWAY, now=1000, spread=0) == 0.2


def test_a_lasting_failure_is_given_up_at_once() -> None:
    assert (
        ReconnectPolicy(10, 60).pause_seconds(JobNotFound("NOT_FOUND", "no"), now=0, spread=0)
        is None
    )
    full = Overloaded("RESOURCE_EXHAUSTED", "full")
    assert ReconnectPolicy(10, 60).pause_seconds(full, now=0, spread=0) is None


def test_the_server_may_ask_for_a_longer_pause() -> None:
    full = Overloaded("RESOURCE_EXHAUSTED", "full", retry_delay_seconds=3)
    assert ReconnectPolicy(10, 60).pause_seconds(full, now=0, spread=0) == 3


def test_no_pause_goes_past_the_end_of_the_wait() -> None:
    reconnect = ReconnectPolicy(10, 60, until=1.0)
    assert reconnect.pause_seconds(AWAY, now=0.5, spread=0) == 0.2
    assert reconnect.pause_seconds(AWAY, now=0.7, spread=0) is None
