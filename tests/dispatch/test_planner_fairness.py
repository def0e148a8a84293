"""The planner under any order of events, against the rules that it must keep."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jobsvc.dispatch.planner import (
    MAX_CLAIM_SIZE,
    MAX_RESCAN_SECONDS,
    MAX_SLOTS,
    RESCAN_SECONDS,
    Claim,
    ClaimPlanner,
    FollowUp,
)
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.lease import QueuePosition

QUEUES = ["a", "b", "c", "d"]
LIMITS = st.dictionaries(st.sampled_from(QUEUES), st.integers(0, 3), min_size=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
WINDOWS = st.integers(0, 6)


class PlannerMachine(RuleBasedStateMachine):
    """Subscriptions come and go, queues wake, claims end short or full."""

    def __init__(self) -> None:
        super().__init__()
        self.planner = ClaimPlanner()
        self.joined: list[Subscription] = []
        self.claims: list[Claim] = []
        #: Claims that are completed and not released, with the number of their jobs.
        self.completed: dict[int, int] = {}
        self.now = 0.0
        #: When the last claim was completed that had searched the whole of a queue.
        self.searched: dict[str, float] = {}
        #: Queues that may have ready jobs, as far as the planner could know.
        self.maybe_ready: set[str] = set()

    def subscribed(self) -> set[str]:
        return {queue for subscription in self.joined for queue in subscription.limits}

    @rule(limits=LIMITS, window=WINDOWS)
    def join(self, limits: dict[str, int], window: int) -> None:
        subscription = Subscription(f"w{len(self.joined)}", limits, window)
        self.planner.join(subscription)
        self.joined.append(subscription)
        self.maybe_ready |= set(limits)

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        subscription = data.draw(st.sampled_from(self.joined))
        self.joined.remove(subscription)
        self.planner.leave(subscription)
        self.maybe_ready &= self.subscribed()

    @precondition(lambda self: self.joined)
    @rule(data=st.data(), window=WINDOWS)
    def set_window(self, data: st.DataObject, window: int) -> None:
        data.draw(st.sampled_from(self.joined)).window = window

    @rule(queues=st.lists(st.sampled_from(QUEUES)))
    def wake(self, queues: list[str]) -> None:
        known = set(queues) & self.subscribed()
        assert self.planner.wake(queues) == bool(known)
        self.maybe_ready |= known

    @rule()
    def plan(self) -> None:
        before = {s: {q: s.capacity(q) for q in s.limits} for s in self.joined}
        free = {s: s.window - s.held - s.reserved for s in self.joined}
        under_way = {claim.queue for claim in self.claims if id(claim) not in self.completed}
        claims = self.planner.plan(self.now)
        dealt: Counter[Subscription] = Counter()
        for claim in claims:
            assert claim.queue in self.maybe_ready, (
                "only a queue that may have jobs is claimed from"
            )
            assert claim.queue not in under_way, "one claim under way for a queue"
            searched = self.searched.get(claim.queue, -inf)
            assert claim.begin is None or self.now < searched + MAX_RESCAN_SECONDS
            assert 0 < len(claim.slots) <= MAX_SLOTS
            for subscription, count in Counter(claim.slots).items():
                assert subscription in self.joined, "nobody who left is dealt to"
                assert count <= before[subscription][claim.queue]
                assert count * claim.input_size <= max(MAX_CLAIM_SIZE, claim.input_size)
                dealt[subscription] += count
            under_way.add(claim.queue)
            self.maybe_ready.discard(claim.queue)
        for subscription, count in dealt.items():
            assert count <= free[subscription], "no more than its window"
        for queue in self.maybe_ready - under_way:
            assert not any(s.capacity(queue) for s in self.joined if queue in s.limits), (
                "a queue that may be ready is claimed from, if there is capacity"
            )
        self.claims += claims

    @precondition(lambda self: len(self.claims) > len(self.completed))
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        claim = data.draw(
            st.sampled_from([claim for claim in self.claims if id(claim) not in self.completed])
        )
        self._complete(claim, data)

    def _complete(self, claim: Claim, data: st.DataObject) -> int:
        count = data.draw(st.integers(0, len(claim.slots)) | st.just(len(claim.slots)))
        size = count * data.draw(st.sampled_from([0, 200, MAX_CLAIM_SIZE // 3]))
        last = QueuePosition(0, START + timedelta(seconds=self.now)) if count else None
        follow_up = self.planner.completed(claim, count, size, last, self.now)
        if claim.begin is None:
            self.searched[claim.queue] = self.now
        if follow_up.claim_again:
            self.maybe_ready.add(claim.queue)
            assert follow_up.rescan_time is None
            capacity = any(s.capacity(claim.queue) for s in self.joined if claim.queue in s.limits)
            assert follow_up.has_capacity == (count > 0 and capacity)
        if claim.queue not in self.subscribed():
            assert follow_up == FollowUp()
        elif count == len(claim.slots):
            assert follow_up.claim_again, "there may be more"
        elif claim.begin is None:
            assert follow_up == FollowUp(), "nothing is left"
        elif not follow_up.claim_again:
            assert follow_up.rescan_time is not None
            assert self.now < follow_up.rescan_time
            searched = self.searched.get(claim.queue, self.now)
            assert follow_up.rescan_time <= searched + MAX_RESCAN_SECONDS
        return self.completed.setdefault(id(claim), count)

    @rule(seconds=st.floats(0, 2 * RESCAN_SECONDS))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(queues=st.lists(st.sampled_from(QUEUES)))
    def rescan(self, queues: list[str]) -> None:
        self.planner.rescan(queues)
        for queue in queues:
            self.searched.pop(queue, None)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        count = self.completed.get(id(claim))
        if count is None:
            count = self._complete(claim, data)
        self.claims.remove(claim)
        del self.completed[id(claim)]
        held = {s: s.held for s in claim.slots}
        self.planner.release(claim, count)
        for subscription, taken in Counter(claim.slots[:count]).items():
            assert subscription.held == held[subscription] + taken

    @precondition(lambda self: any(s.held for s in self.joined))
    @rule(data=st.data())
    def end_lease(self, data: st.DataObject) -> None:
        subscription = data.draw(st.sampled_from([s for s in self.joined if s.held]))
        held = [queue for queue, count in subscription.held_of.items() if count]
        subscription.hold(data.draw(st.sampled_from(held)), -1)

    @invariant()
    def capacity_is_never_overdrawn(self) -> None:
        for subscription in self.joined:
            promised = Counter(
                claim.queue for claim in self.claims for s in claim.slots if s is subscription
            )
            assert subscription.reserved == promised.total()
            assert {q: n for q, n in subscription.reserved_of.items() if n} == promised
            assert subscription.held == sum(subscription.held_of.values())
            for queue, limit in subscription.limits.items():
                taken = subscription.held_of.get(queue, 0) + promised[queue]
                assert not limit or taken <= limit
                capacity = subscription.capacity(queue)
                assert capacity <= max(
                    subscription.window - subscription.held - subscription.reserved, 0
                )
                assert not (limit and capacity) or taken + capacity <= limit

    @invariant()
    def planner_knows_its_queues(self) -> None:
        assert set(self.planner.queues) == self.subscribed()

    def teardown(self) -> None:
        """With every claim ended and capacity for all, each queue that may be ready is served."""
        for claim in self.claims:
            if id(claim) not in self.completed:
                self.planner.completed(claim, 0, 0, None, self.now)
            self.planner.release(claim, 0)
        for subscription in self.joined:
            subscription.held, subscription.window = 0, 1
            subscription.held_of.clear()
        starving = set(self.maybe_ready)
        for _ in range(len(QUEUES)):
            claims = self.planner.plan(self.now)
            starving -= {claim.queue for claim in claims}
            for claim in claims:
                # Jobs without end: a queue that is served could be served again.
                follow_up = self.planner.completed(claim, len(claim.slots), 0, None, self.now)
                assert follow_up.claim_again
                self.planner.release(claim, len(claim.slots))
                for subscription in claim.slots:
                    subscription.hold(claim.queue, -1)
        assert not starving


TestPlanner = PlannerMachine.TestCase
TestPlanner.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
