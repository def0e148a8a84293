"""Workers that were deaf: when they may try again."""

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.dispatch.deaf_workers import FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS, DeafWorkers
from jobsvc.dispatch.subscription import Subscription
from tests.support.samples import seen_worker


def test_first_trial_begins_at_once_and_the_others_after_growing_pauses() -> None:
    deaf = DeafWorkers()
    assert deaf.trial_time("w") is None
    pauses = []
    for _ in range(12):
        deaf.add("w", now=100.0)
        pauses.append((deaf.trial_time("w") or 0.0) - 100.0)
    assert pauses[:4] == [0.0, *(FIRST_PAUSE_SECONDS * n for n in (1, 2, 4))]
    assert pauses[-1] == MAX_PAUSE_SECONDS
    assert deaf.trial_time("other") is None


def test_worker_that_passed_begins_anew() -> None:
    deaf = DeafWorkers()
    for _ in range(5):
        deaf.add("w", now=1.0)
    deaf.forgive("w")
    assert deaf.trial_time("w") is None
    deaf.add("w", now=2.0)
    assert deaf.trial_time("w") == 2.0


def test_workers_that_never_come_back_are_forgotten() -> None:
    deaf = DeafWorkers()
    for n in range(100):
        deaf.add(f"w{n}", now=float(n))
    deaf.add("late", now=99.0 + 2 * MAX_PAUSE_SECONDS)
    assert [n for n in range(100) if deaf.trial_time(f"w{n}") is not None] == [99]


def test_trial_is_one_job_until_it_is_passed() -> None:
    worker = ConnectedWorker(Subscription("w", {"q": 0}, 10), seen_worker())
    worker.begin_trial(5.0)
    assert not worker.open_trial(4.9)
    assert worker.subscription.capacity("q") == 0
    assert worker.open_trial(5.0)
    assert not worker.open_trial(6.0)
    worker.set_window(7)
    assert worker.subscription.capacity("q") == 1
    worker.pass_trial()
    assert worker.subscription.capacity("q") == 7


def test_trial_of_a_worker_that_leaves_is_not_opened() -> None:
    worker = ConnectedWorker(Subscription("w", {"q": 0}, 10), seen_worker())
    worker.begin_trial(5.0)
    worker.draining = True
    assert not worker.open_trial(9.0)
    worker.pass_trial()
    assert worker.subscription.window == 0
