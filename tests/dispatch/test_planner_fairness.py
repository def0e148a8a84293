"""The board under any order of events, against what must hold of it."""

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
)
from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.lease import QueuePosition

QUEUES = ["a", "b", "c", "d"]
LIMITS = st.dictionaries(st.sampled_from(QUEUES), st.integers(0, 3), min_size=1)
START = datetime(2026, 3, 1, tzinfo=UTC)
WINDOWS = st.integers(0, 6)


class TimeSlice(RuleBasedStateMachine):
    """Subscriptions come and go, queues wake, claims end short or full."""

    def __init__(self) -> None:
        super().__init__()
        self.board = ClaimPlanner()
        self.joined: list[Subscription] = []
        self.claims: list[Claim] = []
        #: Those that have arrived, with the number of jobs.
        self.arrived: dict[int, int] = {}
        self.now = 0.0
        #: When a claim arrived last that had looked at the whole of a queue.
        self.looked: dict[str, float] = {}
        #: Queues that may have ready jobs, as far as anybody here could know.
        self.hot: set[str] = set()

    def subscribed(self) -> set[str]:
        return {queue for subscription in self.joined for queue in subscription.limits}

    @rule(limits=LIMITS, window=WINDOWS)
    def join(self, limits: dict[str, int], window: int) -> None:
        subscription = Subscription(f"w{len(self.joined)}", limits, window)
        self.board.join(subscription)
        self.joined.append(subscription)
        self.hot |= set(limits)

    @precondition(lambda self: self.joined)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        subscription = data.draw(st.sampled_from(self.joined))
        self.joined.remove(subscription)
        self.board.leave(subscription)
        self.hot &= self.subscribed()

    @precondition(lambda self: self.joined)
    @rule(data=st.data(), window=WINDOWS)
    def set_window(self, data: st.DataObject, window: int) -> None:
        data.draw(st.sampled_from(self.joined)).window = window

    @rule(queues=st.lists(st.sampled_from(QUEUES)))
    def wake(self, queues: list[str]) -> None:
        known = set(queues) & self.subscribed()
        assert self.board.wake(queues) == bool(known)
        self.hot |= known

    @rule()
    def plan(self) -> None:
        before = {s: {q: s.room(q) for q in s.limits} for s in self.joined}
        free = {s: s.window - s.held - s.reserved for s in self.joined}
        under_way = {claim.queue for claim in self.claims if id(claim) not in self.arrived}
        claims = self.board.plan(self.now)
        dealt: Counter[Subscription] = Counter()
        for claim in claims:
            assert claim.queue in self.hot, "only a queue that may have jobs is asked"
            assert claim.queue not in under_way, "one claim under way for a queue"
            looked = self.looked.get(claim.queue, -inf)
            assert claim.begin is None or self.now < looked + MAX_RESCAN_SECONDS
            assert 0 < len(claim.slots) <= MAX_SLOTS
            for subscription, count in Counter(claim.slots).items():
                assert subscription in self.joined, "nobody who left is dealt to"
                assert count <= before[subscription][claim.queue]
                assert count * claim.size <= max(MAX_CLAIM_SIZE, claim.size)
                dealt[subscription] += count
            under_way.add(claim.queue)
            self.hot.discard(claim.queue)
        for subscription, count in dealt.items():
            assert count <= free[subscription], "no more than its window"
        for queue in self.hot - under_way:
            assert not any(s.room(queue) for s in self.joined if queue in s.limits), (
                "a hot queue with room is asked, now or after those before it"
            )
        self.claims += claims

    @precondition(lambda self: len(self.claims) > len(self.arrived))
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        claim = data.draw(
            st.sampled_from([claim for claim in self.claims if id(claim) not in self.arrived])
        )
        self._arrive(claim, data)

    def _arrive(self, claim: Claim, data: st.DataObject) -> int:
        count = data.draw(st.integers(0, len(claim.slots)) | st.just(len(claim.slots)))
        size = count * data.draw(st.sampled_from([0, 200, MAX_CLAIM_SIZE // 3]))
        last = QueuePosition(0, START + timedelta(seconds=self.now)) if count else None
        wake_time = self.board.arrived(claim, count, size, last, self.now)
        if claim.begin is None:
            self.looked[claim.queue] = self.now
        if claim.queue not in self.subscribed():
            assert wake_time is None
        elif count == len(claim.slots):
            assert wake_time == self.now, "there may be more"
            self.wake([claim.queue])
        elif claim.begin is None:
            assert wake_time is None, "nothing is left"
        else:
            assert wake_time is not None
            assert self.now <= wake_time
            if wake_time == self.now:
                self.wake([claim.queue])
            assert wake_time <= self.looked.get(claim.queue, self.now) + MAX_RESCAN_SECONDS
        return self.arrived.setdefault(id(claim), count)

    @rule(seconds=st.floats(0, 2 * RESCAN_SECONDS))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(queues=st.lists(st.sampled_from(QUEUES)))
    def rescan(self, queues: list[str]) -> None:
        self.board.rescan(queues)
        for queue in queues:
            self.looked.pop(queue, None)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        count = self.arrived.get(id(claim))
        if count is None:
            count = self._arrive(claim, data)
        self.claims.remove(claim)
        del self.arrived[id(claim)]
        held = {s: s.held for s in claim.slots}
        self.board.settle(claim, count)
        for subscription, taken in Counter(claim.slots[:count]).items():
            assert subscription.held == held[subscription] + taken

    @precondition(lambda self: any(s.held for s in self.joined))
    @rule(data=st.data())
    def end_lease(self, data: st.DataObject) -> None:
        subscription = data.draw(st.sampled_from([s for s in self.joined if s.held]))
        held = [queue for queue, count in subscription.held_of.items() if count]
        subscription.hold(data.draw(st.sampled_from(held)), -1)

    @invariant()
    def room_is_never_overdrawn(self) -> None:
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
                room = subscription.room(queue)
                assert room <= max(
                    subscription.window - subscription.held - subscription.reserved, 0
                )
                assert not (limit and room) or taken + room <= limit

    @invariant()
    def board_knows_its_queues(self) -> None:
        assert set(self.board.queues) == self.subscribed()

    def teardown(self) -> None:
        """Once every claim has ended and there is room, every hot queue gets its turn."""
        for claim in self.claims:
            if id(claim) not in self.arrived:
                self.board.arrived(claim, 0, 0, None, self.now)
            self.board.settle(claim, 0)
        for subscription in self.joined:
            subscription.held, subscription.window = 0, 1
            subscription.held_of.clear()
        starving = set(self.hot)
        for _ in range(len(QUEUES)):
            claims = self.board.plan(self.now)
            starving -= {claim.queue for claim in claims}
            for claim in claims:
                # Jobs without end: whoever is served would be served again.
                if self.board.arrived(claim, len(claim.slots), 0, None, self.now) is not None:
                    self.board.wake([claim.queue])
                self.board.settle(claim, len(claim.slots))
                for subscription in claim.slots:
                    subscription.hold(claim.queue, -1)
        assert not starving


TestTurns = TimeSlice.TestCase
TestTurns.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
