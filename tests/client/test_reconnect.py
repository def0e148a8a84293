"""When to try again, and when to give up."""

from jobsvc.client import JobNotFound, Overloaded, Unavailable
from jobsvc.client.reconnect import ReconnectPolicy

AWAY = Unavailable("UNAVAILABLE", "away")


def test_pauses_grow_up_to_a_bound() -> None:
    patience = ReconnectPolicy(first_seconds=100, seconds=100)
    pauses = [patience.pause_seconds(AWAY, now=0, spread=0) for _ in range(7)]
    assert pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_pauses_are_spread() -> None:
    assert ReconnectPolicy(9, 9).pause_seconds(AWAY, now=0, spread=1) == 0.2 * 1.2


def test_a_server_that_never_answered_is_given_up_sooner() -> None:
    patience = ReconnectPolicy(first_seconds=10, seconds=60)
    assert patience.pause_seconds(AWAY, now=100, spread=0) is not None
    assert patience.pause_seconds(AWAY, now=110, spread=0) is None

    patience = ReconnectPolicy(first_seconds=10, seconds=60)
    patience.answered()
    assert patience.pause_seconds(AWAY, now=100, spread=0) is not None
    assert patience.pause_seconds(AWAY, now=159, spread=0) is not None
    assert patience.pause_seconds(AWAY, now=160, spread=0) is None


def test_an_answer_makes_all_well() -> None:
    patience = ReconnectPolicy(10, 60)
    patience.answered()
    patience.pause_seconds(AWAY, now=0, spread=0)
    patience.answered()
    assert patience.pause_seconds(AWAY, now=1000, spread=0) == 0.2


def test_what_a_repetition_cannot_mend_is_given_up_at_once() -> None:
    assert (
        ReconnectPolicy(10, 60).pause_seconds(JobNotFound("NOT_FOUND", "no"), now=0, spread=0)
        is None
    )
    full = Overloaded("RESOURCE_EXHAUSTED", "full")
    assert ReconnectPolicy(10, 60).pause_seconds(full, now=0, spread=0) is None


def test_the_server_may_ask_for_a_longer_pause() -> None:
    full = Overloaded("RESOURCE_EXHAUSTED", "full", retry_delay_seconds=3)
    assert ReconnectPolicy(10, 60).pause_seconds(full, now=0, spread=0) == 3
