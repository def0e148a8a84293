"""A connected worker: its leases, its acknowledgements, and its notices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobsvc.dispatch.connected_worker import CancelRequested, ConnectedWorker, Draining, Lost
from jobsvc.dispatch.subscription import MAX_UNSENT_SIZE, Subscription
from jobsvc.domain.lease import Extended, LeaseId
from tests.support.samples import JOB_ID, leased_job, seen_worker


def lease_ids(*numbers: int) -> list[LeaseId]:
    return [LeaseId.of(JOB_ID, number) for number in numbers]


@pytest.fixture
def worker() -> ConnectedWorker:
    subscription = Subscription("w", {"q": 0, "p": 0}, 10)
    return ConnectedWorker(subscription, seen_worker())


def test_sent_frame_waits_for_its_acknowledgement(worker: ConnectedWorker) -> None:
    assert worker.silent_since() is None
    worker.sent(4, [leased_job(1)], now=7.0)
    worker.sent(5, [leased_job(2)], now=8.0)
    assert worker.silent_since() == 7.0


def test_sequence_acknowledges_every_frame_up_to_it(worker: ConnectedWorker) -> None:
    for sequence in (4, 5, 9):
        worker.sent(sequence, [leased_job(sequence)], now=float(sequence))
    worker.acknowledge_frames(5, now=0.0)
    assert worker.silent_since() == 9.0
    worker.acknowledge_frames(8, now=0.0)
    assert worker.silent_since() == 9.0
    worker.acknowledge_frames(1000, now=0.0)
    assert worker.silent_since() is None


def test_old_sequence_acknowledges_nothing(worker: ConnectedWorker) -> None:
    worker.sent(4, [leased_job(1)], now=1.0)
    worker.acknowledge_frames(3, now=0.0)
    worker.acknowledge_frames(-1, now=0.0)
    assert worker.silent_since() == 1.0


def test_frame_is_acknowledged_when_every_lease_in_it_is(worker: ConnectedWorker) -> None:
    worker.sent(1, [leased_job(1), leased_job(2)], now=1.0)
    worker.sent(2, [leased_job(3)], now=2.0)
    worker.acknowledge_leases(lease_ids(1), now=0.0)
    assert worker.silent_since() == 1.0
    worker.acknowledge_leases(lease_ids(2), now=0.0)
    assert worker.silent_since() == 2.0
    worker.acknowledge_leases(lease_ids(3, 3, 99), now=0.0)
    assert worker.silent_since() is None


def test_acknowledgement_gives_the_next_frames_some_time(worker: ConnectedWorker) -> None:
    for sequence in (1, 2, 3):
        worker.sent(sequence, [leased_job(sequence)], now=1.0)
    worker.acknowledge_frames(1, now=5.0)
    assert worker.silent_since() == 5.0
    worker.acknowledge_leases(lease_ids(2), now=9.0)
    assert worker.silent_since() == 9.0
    worker.acknowledge_leases(lease_ids(2), now=10.0)
    assert worker.silent_since() == 9.0, "nothing new"
    worker.sent(4, [leased_job(4), leased_job(5)], now=11.0)
    worker.acknowledge_leases(lease_ids(4), now=99.0)
    assert worker.silent_since() == 16.0


def test_job_is_overdue_when_a_third_of_its_lease_is_over(worker: ConnectedWorker) -> None:
    assert leased_job(1).delivery.duration_seconds == 30.0
    longer = replace(leased_job(3).delivery, duration_seconds=60.0)
    worker.deal([leased_job(1), leased_job(2), replace(leased_job(3), delivery=longer)], now=0.0)
    worker.deal([leased_job(4)], now=5.0)
    assert worker.overdue(now=9.9) == []
    assert [job.id for job in worker.take(1)] == lease_ids(1)
    assert worker.overdue(now=10.0) == lease_ids(2)
    worker.drop(lease_ids(2))
    assert worker.overdue(now=14.9) == []
    assert worker.overdue(now=15.0) == lease_ids(4)
    assert worker.overdue(now=20.0) == lease_ids(3, 4)
    assert [job.id for job in worker.take(9)] == lease_ids(3, 4)
    assert worker.overdue(now=99.0) == []


def test_worker_whose_frames_are_not_read_is_not_silent(worker: ConnectedWorker) -> None:
    worker.sent(4, [leased_job(1)], now=1.0)
    worker.set_reading(True, now=2.0)
    assert worker.silent_since() == 1.0
    worker.set_reading(False, now=3.0)
    worker.set_reading(False, now=4.0)
    assert worker.silent_since() is None
    worker.set_reading(True, now=50.0)
    assert worker.silent_since() == 50.0
    worker.acknowledge_frames(4, now=51.0)
    assert worker.silent_since() is None


def test_foreign_lease_acknowledges_nothing(worker: ConnectedWorker) -> None:
    worker.sent(1, [leased_job(1)], now=1.0)
    worker.acknowledge_leases(lease_ids(2), now=0.0)
    assert worker.silent_since() == 1.0


def test_dealt_jobs_are_held_and_waiting_to_be_sent(worker: ConnectedWorker) -> None:
    worker.deal([leased_job(1), leased_job(2)], now=0.0)
    assert set(worker.leases) == set(lease_ids(1, 2))
    assert [job.id for job in worker.undelivered] == lease_ids(1, 2)
    assert worker.changed.is_set()
    assert worker.subscription.held == 0, "the planner counts them"


def test_dropped_lease_frees_capacity_once(worker: ConnectedWorker) -> None:
    worker.subscription.hold("q", 1)
    worker.subscription.hold("p", 1)
    worker.deal([leased_job(1, "q"), leased_job(2, "p")], now=0.0)
    worker.drop(lease_ids(2, 2, 77))
    worker.drop(lease_ids(2))
    assert worker.subscription.held == 1
    assert worker.subscription.held_of == {"q": 1, "p": 0}
    assert set(worker.leases) == set(lease_ids(1))


@given(st.lists(st.tuples(st.sampled_from(["deal", "take", "drop"]), st.sets(st.integers(0, 9)))))
def test_inputs_count_until_they_are_sent_or_dropped(steps: list[tuple[str, set[int]]]) -> None:
    worker = ConnectedWorker(Subscription("w", {"q": 0}, 10), seen_worker())
    dealt = 0
    for step, numbers in steps:
        if step == "deal":
            jobs = [replace(leased_job(dealt + n), input="x" * n or None) for n in numbers]
            worker.deal(jobs, now=0.0)
            dealt += 10
        elif step == "take":
            worker.take(len(numbers))
        else:
            worker.drop([job.id for n, job in enumerate(worker.undelivered) if n in numbers])
        assert worker.subscription.unsent_size == sum(
            len(j.input or "") for j in worker.undelivered
        )


def test_window_of_a_worker_that_is_behind_is_shown_as_full(worker: ConnectedWorker) -> None:
    worker.subscription.hold("q", 3)
    worker.deal([replace(leased_job(1), input="x" * (MAX_UNSENT_SIZE - 1))], now=0.0)
    assert (worker.seen().lease_count, worker.seen().window) == (3, 10)
    worker.deal([replace(leased_job(2), input="x")], now=0.0)
    assert (worker.seen().lease_count, worker.seen().window) == (3, 3)


def test_first_reason_to_end_is_kept(worker: ConnectedWorker) -> None:
    first = ValueError()
    worker.end(first)
    worker.end(KeyError())
    assert worker.error is first
    assert worker.stop.is_set()


async def test_worker_whose_stream_ends_takes_nothing_more(worker: ConnectedWorker) -> None:
    worker.set_window(7)
    assert worker.subscription.window == 7
    worker.end(KeyError("end"))
    worker.set_window(5)
    assert worker.subscription.window == 0
    with pytest.raises(KeyError, match="end"):
        await worker.until_ended()


def test_lease_that_is_lost_on_the_way_is_not_sent(worker: ConnectedWorker) -> None:
    worker.deal([leased_job(1), leased_job(2)], now=0.0)
    worker.drop(lease_ids(1))
    assert [job.id for job in worker.undelivered] == lease_ids(2)


def test_notices_are_passed_on_in_their_order(worker: ConnectedWorker) -> None:
    notices: list[Lost | Draining] = [Lost(lease_ids(1), "gone"), Draining(5.0, "going")]
    for notice in notices:
        worker.notify(notice)
    assert worker.notices == notices
    assert worker.changed.is_set()


def test_draining_worker_shows_no_window(worker: ConnectedWorker) -> None:
    worker.subscription.hold("q", 3)
    assert (worker.seen().window, worker.seen().lease_count) == (10, 3)
    worker.draining = True
    assert (worker.seen().window, worker.seen().lease_count) == (0, 3)


def test_cancel_of_a_job_that_is_not_sent_yet_comes_after_the_job(worker: ConnectedWorker) -> None:
    job, lost = leased_job(1), Lost(lease_ids(2), "why")
    notice = CancelRequested({job.id: Extended(30.0, True, "why")})
    worker.deal([job], now=0.0)
    worker.notify(notice)
    worker.notify(lost)
    assert worker.take_notices() == [lost]
    worker.take(1)
    assert worker.take_notices() == [notice]
    assert worker.take_notices() == []
