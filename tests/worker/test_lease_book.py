"""The worker's bookkeeping: nothing is lost, nothing runs above the concurrency."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jobsvc.worker.failure import job_error
from jobsvc.worker.lease_book import LeaseBook
from jobsvc.worker.outcome import Outcome, failed, report, succeeded

CONCURRENCY = 3
IDS = st.sampled_from([f"l{i}" for i in range(8)])


class Bookkeeping(RuleBasedStateMachine):
    """Any order of events, foreign and repeated ones included, against a model."""

    def __init__(self) -> None:
        super().__init__()
        self.book = LeaseBook[str](CONCURRENCY)
        self.open: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}
        self.sent: set[str] = set()
        self.deferred: set[str] = set()
        self.replaced: set[str] = set()

    @rule(lease_id=IDS)
    def take(self, lease_id: str) -> None:
        held = lease_id in self.open or lease_id in self.outcomes
        assert self.book.take(lease_id, lease_id) is not held
        if not held:
            self.open.add(lease_id)

    @rule()
    def start(self) -> None:
        for lease_id in self.book.start():
            assert lease_id in self.open
            assert not self.book.waits(lease_id)

    @rule(lease_id=IDS, output=st.sampled_from([None, "{}"]))
    def end(self, lease_id: str, output: str | None) -> None:
        outcome = succeeded(lease_id, output)
        known = lease_id in self.open
        assert (self.book.end(outcome) is not None) is known
        if known:
            self.open.remove(lease_id)
            self.outcomes[lease_id] = outcome

    @rule(lease_id=IDS)
    def lose(self, lease_id: str) -> None:
        known = lease_id in self.open
        assert (self.book.lose(lease_id) is not None) is known
        self.open.discard(lease_id)

    @rule(max_items=st.integers(1, 4), max_bytes=st.integers(1, 60), takes_ids=st.booleans())
    def send(self, max_items: int, max_bytes: int, takes_ids: bool) -> None:
        unsent = self.outcomes.keys() - self.sent - self.deferred
        frame = self.book.send(max_items, max_bytes)
        assert len(frame) <= max_items
        assert bool(frame) is bool(unsent)
        request = report(frame, takes_ids)
        assert len(frame) <= 1 or request.ByteSize() <= max_bytes
        sent = [*request.succeeded_lease_ids, *[o.lease_id for o in request.outcomes]]
        assert len(sent) == len(frame)
        assert set(sent) <= unsent
        assert all(outcome in self.outcomes.values() for outcome in frame)
        self.sent.update(sent)

    @rule(lease_id=IDS)
    def forget(self, lease_id: str) -> None:
        self.book.forget(lease_id)
        self._drop(lease_id)

    @rule(lease_id=IDS)
    def postpone(self, lease_id: str) -> None:
        is_unsent = lease_id in self.outcomes.keys() - self.sent - self.deferred
        assert self.book.postpone(lease_id) is is_unsent
        if is_unsent:
            self.deferred.add(lease_id)

    @rule(lease_id=IDS)
    def defer(self, lease_id: str) -> None:
        self.book.defer(lease_id)
        if lease_id in self.sent:
            self.sent.remove(lease_id)
            self.deferred.add(lease_id)

    @rule(lease_id=IDS)
    def replace(self, lease_id: str) -> None:
        outcome = succeeded(lease_id, '{"replaced":true}')
        fresh = lease_id in self.outcomes and lease_id not in self.replaced
        assert self.book.replace(outcome) is fresh
        self._drop(lease_id)
        if fresh:
            self.outcomes[lease_id] = outcome
            self.replaced.add(lease_id)

    @rule()
    def resend_deferred(self) -> None:
        self.book.resend_deferred()
        self.deferred.clear()

    @rule()
    def resend_all(self) -> None:
        self.book.resend_all()
        self.deferred.clear()
        self.sent.clear()

    @precondition(lambda self: self.open)
    @rule()
    def extend(self) -> None:
        extended = self.book.extend()
        assert len(extended) == len(set(extended))
        assert self.open <= set(extended) <= self.open | self.outcomes.keys()

    @invariant()
    def every_outcome_is_kept_until_it_is_forgotten(self) -> None:
        assert self.book.unconfirmed == len(self.outcomes)

    @invariant()
    def attempt_is_known_as_long_as_its_outcome(self) -> None:
        known = {lease_id for i in range(8) if (lease_id := self.book.ended(f"l{i}"))}
        assert known == self.outcomes.keys()

    @invariant()
    def held_is_what_is_open_and_what_is_unconfirmed(self) -> None:
        held = self.book.lease_ids()
        assert len(held) == len(set(held))
        assert set(held) == self.open | self.outcomes.keys()
        assert set(self.book.attempts()) == self.open
        assert self.book.open == len(self.open)

    @invariant()
    def no_more_run_than_may(self) -> None:
        running = [i for i in self.book.attempts() if not self.book.waits(i)]
        assert len(running) <= CONCURRENCY

    def _drop(self, lease_id: str) -> None:
        self.outcomes.pop(lease_id, None)
        self.sent.discard(lease_id)
        self.deferred.discard(lease_id)
        self.replaced.discard(lease_id)


TestBookkeeping = Bookkeeping.TestCase
TestBookkeeping.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def test_waiting_leases_start_in_order_as_others_end() -> None:
    book = LeaseBook[str](2)
    for lease_id in "abcd":
        book.take(lease_id, lease_id)
    assert book.start() == ["a", "b"]
    assert book.start() == []
    book.end(succeeded("b", None))
    assert book.start() == ["c"]


def test_what_was_under_way_is_sent_again_behind_the_rest() -> None:
    book = LeaseBook[str](9)
    for lease_id in "abc":
        book.take(lease_id, lease_id)
        book.end(succeeded(lease_id, None))
    book.send(2, 1000)
    book.resend_all()
    assert book.send(9, 1000) == ["c", "a", "b"]


def test_fresh_outcomes_are_not_extended_late_ones_are() -> None:
    book = LeaseBook[str](9)
    book.take("a", "a")
    book.end(succeeded("a", None))
    assert book.extend() == []
    assert book.extend() == ["a"]


def test_attempt_is_kept_for_a_replacement_and_no_longer() -> None:
    book = LeaseBook[str](1)
    book.take("a", "attempt")
    assert book.ended("a") is None
    book.end(succeeded("a", None))
    book.replace(succeeded("a", "{}"))
    assert book.ended("a") == "attempt"
    book.forget("a")
    assert book.ended("a") is None


def test_replacement_is_replaced_no_further() -> None:
    book = LeaseBook[str](9)
    book.take("a", "a")
    book.end(succeeded("a", None))
    assert book.replace(succeeded("a", "{}"))
    assert not book.replace(succeeded("a", "{}"))
    assert book.lease_ids() == []


def test_outcome_of_an_ended_lease_is_the_first_one() -> None:
    book = LeaseBook[str](9)
    book.take("a", "a")
    first = succeeded("a", "{}")
    book.end(first)
    assert book.end(failed("a", job_error(2, "LATE", "late"))) is None
    assert book.send(9, 1000) == [first]
