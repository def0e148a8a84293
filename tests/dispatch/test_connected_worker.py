"""One worker on one stream."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobsvc.dispatch.connected_worker import ConnectedWorker, Draining, Lost
from jobsvc.dispatch.subscription import MAX_UNSENT_SIZE, Subscription
from jobsvc.domain.lease import LeaseId
from tests.support.samples import JOB_ID, leased_job, seen_worker


def lease_ids(*numbers: int) -> list[LeaseId]:
    return [LeaseId.of(JOB_ID, number) for number in numbers]


@pytest.fixture
def stream() -> ConnectedWorker:
    subscription = Subscription("w", {"q": 0, "p": 0}, 10)
    return ConnectedWorker(subscription, seen_worker())


def test_sent_frame_waits_for_its_confirmation(stream: ConnectedWorker) -> None:
    assert stream.silent_since() is None
    stream.sent(4, [leased_job(1)], now=7.0)
    stream.sent(5, [leased_job(2)], now=8.0)
    assert stream.silent_since() == 7.0


def test_sequence_confirms_every_frame_up_to_it(stream: ConnectedWorker) -> None:
    for sequence in (4, 5, 9):
        stream.sent(sequence, [leased_job(sequence)], now=float(sequence))
    stream.confirm_frames(5, now=0.0)
    assert stream.silent_since() == 9.0
    stream.confirm_frames(8, now=0.0)
    assert stream.silent_since() == 9.0
    stream.confirm_frames(1000, now=0.0)
    assert stream.silent_since() is None


def test_old_sequence_confirms_nothing(stream: ConnectedWorker) -> None:
    stream.sent(4, [leased_job(1)], now=1.0)
    stream.confirm_frames(3, now=0.0)
    stream.confirm_frames(-1, now=0.0)
    assert stream.silent_since() == 1.0


def test_frame_is_confirmed_when_every_lease_in_it_is(stream: ConnectedWorker) -> None:
    stream.sent(1, [leased_job(1), leased_job(2)], now=1.0)
    stream.sent(2, [leased_job(3)], now=2.0)
    stream.confirm(lease_ids(1), now=0.0)
    assert stream.silent_since() == 1.0
    stream.confirm(lease_ids(2), now=0.0)
    assert stream.silent_since() == 2.0
    stream.confirm(lease_ids(3, 3, 99), now=0.0)
    assert stream.silent_since() is None


def test_confirmation_gives_the_next_frames_time_but_not_for_long(stream: ConnectedWorker) -> None:
    for sequence in (1, 2, 3):
        stream.sent(sequence, [leased_job(sequence)], now=1.0)
    stream.confirm_frames(1, now=5.0)
    assert stream.silent_since() == 5.0
    stream.confirm(lease_ids(2), now=9.0)
    assert stream.silent_since() == 9.0
    stream.confirm(lease_ids(2), now=10.0)
    assert stream.silent_since() == 9.0, "nothing new"
    stream.sent(4, [leased_job(4), leased_job(5)], now=11.0)
    stream.confirm(lease_ids(4), now=99.0)
    assert stream.silent_since() == 16.0


def test_job_is_overdue_when_a_third_of_its_lease_is_over(stream: ConnectedWorker) -> None:
    assert leased_job(1).delivery.duration_seconds == 30.0
    longer = replace(leased_job(3).delivery, duration_seconds=60.0)
    stream.deal([leased_job(1), leased_job(2), replace(leased_job(3), delivery=longer)], now=0.0)
    stream.deal([leased_job(4)], now=5.0)
    assert stream.overdue(now=9.9) == []
    assert [job.id for job in stream.take(1)] == lease_ids(1)
    assert stream.overdue(now=10.0) == lease_ids(2)
    stream.drop(lease_ids(2))
    assert stream.overdue(now=14.9) == []
    assert stream.overdue(now=15.0) == lease_ids(4)
    assert stream.overdue(now=20.0) == lease_ids(3, 4)
    assert [job.id for job in stream.take(9)] == lease_ids(3, 4)
    assert stream.overdue(now=99.0) == []


def test_worker_that_is_not_heard_is_not_silent(stream: ConnectedWorker) -> None:
    stream.sent(4, [leased_job(1)], now=1.0)
    stream.hear(True, now=2.0)
    assert stream.silent_since() == 1.0
    stream.hear(False, now=3.0)
    stream.hear(False, now=4.0)
    assert stream.silent_since() is None
    stream.hear(True, now=50.0)
    assert stream.silent_since() == 50.0
    stream.confirm_frames(4, now=51.0)
    assert stream.silent_since() is None


def test_foreign_lease_confirms_nothing(stream: ConnectedWorker) -> None:
    stream.sent(1, [leased_job(1)], now=1.0)
    stream.confirm(lease_ids(2), now=0.0)
    assert stream.silent_since() == 1.0


def test_dealt_jobs_are_held_and_waiting_to_be_sent(stream: ConnectedWorker) -> None:
    stream.deal([leased_job(1), leased_job(2)], now=0.0)
    assert set(stream.held) == set(lease_ids(1, 2))
    assert [job.id for job in stream.undelivered] == lease_ids(1, 2)
    assert stream.changed.is_set()
    assert stream.subscription.held == 0, "the board has counted them already"


def test_dropped_lease_makes_room_once(stream: ConnectedWorker) -> None:
    stream.subscription.hold("q", 1)
    stream.subscription.hold("p", 1)
    stream.deal([leased_job(1, "q"), leased_job(2, "p")], now=0.0)
    stream.drop(lease_ids(2, 2, 77))
    stream.drop(lease_ids(2))
    assert stream.subscription.held == 1
    assert stream.subscription.held_of == {"q": 1, "p": 0}
    assert set(stream.held) == set(lease_ids(1))


@given(st.lists(st.tuples(st.sampled_from(["deal", "take", "drop"]), st.sets(st.integers(0, 9)))))
def test_inputs_count_until_they_are_sent_or_dropped(steps: list[tuple[str, set[int]]]) -> None:
    stream = ConnectedWorker(Subscription("w", {"q": 0}, 10), seen_worker())
    dealt = 0
    for step, numbers in steps:
        if step == "deal":
            jobs = [replace(leased_job(dealt + n), input="x" * n or None) for n in numbers]
            stream.deal(jobs, now=0.0)
            dealt += 10
        elif step == "take":
            stream.take(len(numbers))
        else:
            stream.drop([job.id for n, job in enumerate(stream.undelivered) if n in numbers])
        assert stream.subscription.unsent_size == sum(
            len(j.input or "") for j in stream.undelivered
        )


def test_window_of_a_worker_that_is_behind_is_shown_as_full(stream: ConnectedWorker) -> None:
    stream.subscription.hold("q", 3)
    stream.deal([replace(leased_job(1), input="x" * (MAX_UNSENT_SIZE - 1))], now=0.0)
    assert (stream.seen().lease_count, stream.seen().window) == (3, 10)
    stream.deal([replace(leased_job(2), input="x")], now=0.0)
    assert (stream.seen().lease_count, stream.seen().window) == (3, 3)


def test_first_reason_to_end_is_kept(stream: ConnectedWorker) -> None:
    first = ValueError()
    stream.end(first)
    stream.end(KeyError())
    assert stream.ended is first
    assert stream.over.is_set()


async def test_ended_stream_takes_nothing_more(stream: ConnectedWorker) -> None:
    stream.set_window(7)
    assert stream.subscription.window == 7
    stream.end(KeyError("over"))
    stream.set_window(5)
    assert stream.subscription.window == 0
    with pytest.raises(KeyError, match="over"):
        await stream.until_ended()


def test_lease_that_is_lost_on_the_way_is_not_sent(stream: ConnectedWorker) -> None:
    stream.deal([leased_job(1), leased_job(2)], now=0.0)
    stream.drop(lease_ids(1))
    assert [job.id for job in stream.undelivered] == lease_ids(2)


def test_news_are_passed_on_in_their_order(stream: ConnectedWorker) -> None:
    news: list[Lost | Draining] = [Lost(lease_ids(1), "gone"), Draining(5.0)]
    for item in news:
        stream.tell(item)
    assert stream.news == news
    assert stream.changed.is_set()


def test_draining_worker_shows_no_window(stream: ConnectedWorker) -> None:
    stream.subscription.hold("q", 3)
    assert (stream.seen().window, stream.seen().lease_count) == (10, 3)
    stream.draining = True
    assert (stream.seen().window, stream.seen().lease_count) == (0, 3)
