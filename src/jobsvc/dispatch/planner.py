"""Who gets which job next: subscriptions, windows, turns, and where to look for it. Pure: no I/O,
and the clock's reading is an argument."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat, zip_longest
from math import inf

from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.lease import QueuePosition

#: Most jobs leased in one statement.
MAX_SLOTS = 500
#: And most of their inputs (characters), as far as can be told from the last ones of their queue.
MAX_CLAIM_SIZE = 8 << 20
#: What an input is taken for of which nothing is known.
UNKNOWN_SIZE = 128 << 10
#: Jobs that a claim asks a quiet queue for, and by how much more the next one when all are there: a
#: claim for all the room of many idle workers would cost more than the few jobs that it brings.
LEAST_SLOTS = 16
_GROWTH = 8
#: A busy queue is looked at from its beginning this often; less often where that takes more than a
#: tenth of all time, but once a second at least.
RESCAN_SECONDS = 0.1
MAX_RESCAN_SECONDS = 1.0
RESCAN_SHARE = 0.1
#: A job that is committed no more than this after one that was to leave behind it is not missed.
LATE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A decision to lease from a queue: one job at most for each slot, in their order.

    `begin` is where to begin to look, None the beginning; `plan_time` when this was decided.
    `size` is that of an input, as expected, and `most` the slots that could have been.
    """

    queue: str
    slots: Sequence[Subscription]
    begin: QueuePosition | None
    plan_time: float
    size: int
    most: int


@dataclass(slots=True)
class _Search:
    """How far a queue has been searched, and when to begin again."""

    begin: QueuePosition | None = None
    #: Whether `begin` is the very place of a job, with no room for late ones before it.
    exact: bool = False
    rescan_time: float = -inf


_NOWHERE = _Search()


class ClaimPlanner:
    """All subscriptions of a replica, and the queues that may have ready jobs.

    A queue is hot from `wake` until a claim on it comes back short. Room is
    reserved from the plan of a claim until it is settled, so no worker is dealt
    more than its window; a queue has one claim under way at most.
    """

    def __init__(self) -> None:
        self._of: dict[str, deque[Subscription]] = {}
        self._hot: dict[str, None] = {}
        self._under_way: dict[str, Claim] = {}
        self._searches: dict[str, _Search] = {}
        #: Mean size of the inputs that came last.
        self._sizes: dict[str, int] = {}
        #: How many jobs the next claim asks for.
        self._wanted: dict[str, int] = {}

    @property
    def queues(self) -> list[str]:
        """Queues that somebody subscribes to."""
        return list(self._of)

    def hungry(self) -> list[str]:
        """Queues from which somebody would take a job now."""
        return [queue for queue in self._of if self.has_room(queue)]

    def join(self, subscription: Subscription) -> None:
        """Takes a subscription in; its queues become hot."""
        for queue in subscription.limits:
            self._of.setdefault(queue, deque()).append(subscription)
        self.wake(subscription.limits)

    def leave(self, subscription: Subscription) -> None:
        """Takes a subscription out; leases under way to it will find it gone."""
        for queue in subscription.limits:
            subscribers = self._of[queue]
            subscribers.remove(subscription)
            if not subscribers:
                del self._of[queue]
                self._hot.pop(queue, None)
                self._searches.pop(queue, None)
                self._sizes.pop(queue, None)
                self._wanted.pop(queue, None)

    def wake(self, queues: Iterable[str]) -> bool:
        """Says that queues may have ready jobs. Answers whether anybody here would take one."""
        woken = [queue for queue in queues if queue in self._of]
        self._hot.update(dict.fromkeys(woken))
        return bool(woken)

    def rescan(self, queues: Iterable[str]) -> None:
        """Says that queues are to be looked at from the beginning: something is ready there."""
        for queue in queues:
            self._searches.pop(queue, None)

    def plan(self, now: float) -> list[Claim]:
        """Decides what to lease at the time `now` (seconds), and reserves the room for it.

        Hot queues share the open window of a worker evenly; what one of them
        leaves unused is for the others in the next plan. The queue that was
        served last is served last.
        """
        turns = [q for q in self._hot if q not in self._under_way and self.has_room(q)]
        claims = []
        for position, queue in enumerate(turns):
            rivals = turns[position:]
            size = self._sizes.get(queue, UNKNOWN_SIZE)
            most = min(max(MAX_CLAIM_SIZE // max(size, 1), 1), MAX_SLOTS)
            wanted = min(most, self._wanted.get(queue, LEAST_SLOTS))
            shares: list[tuple[Subscription, int]] = []
            for subscription in self._of[queue]:
                if len(shares) == wanted:
                    break
                room = subscription.room(queue)
                if room:
                    asking = sum(q in subscription.limits for q in rivals)
                    shares.append((subscription, min(-(-room // asking), most)))
            slots = _deal(shares, wanted)
            if not slots:
                continue
            for subscription, count in Counter(slots).items():
                subscription.reserve(queue, count)
                subscription.reserved_size += count * size
            del self._hot[queue]
            search = self._searches.get(queue, _NOWHERE)
            begin = search.begin if now < search.rescan_time else None
            claim = self._under_way[queue] = Claim(queue, slots, begin, now, size, most)
            claims.append(claim)
        return claims

    def has_room(self, queue: str) -> bool:
        """Whether somebody would take a job of a queue now."""
        return any(subscription.room(queue) for subscription in self._of.get(queue, ()))

    def arrived(
        self, claim: Claim, count: int, size: int, last: QueuePosition | None, now: float
    ) -> float | None:
        """Says that a claim has brought `count` jobs with inputs of `size` characters together,
        of which the last stood at `last`, so that the next one on its queue may be planned before
        this one is settled.

        Answers when to wake the queue, which may have more jobs; None if it may rest.
        """
        self._come_back(claim)
        if claim.queue not in self._of:
            return None
        self._pass_turn(claim, count)
        if count:
            self._sizes[claim.queue] = size // count
        search = self._searches.setdefault(claim.queue, _Search())
        if claim.begin is None:
            pause = (now - claim.plan_time) / RESCAN_SHARE
            search.rescan_time = now + min(max(RESCAN_SECONDS, pause), MAX_RESCAN_SECONDS)
        full = count == len(claim.slots)
        # A claim that was small for want of room says nothing of a queue that had all of it.
        before = self._wanted.get(claim.queue, LEAST_SLOTS)
        wanted = max(_GROWTH * len(claim.slots), before) if full else 2 * count
        self._wanted[claim.queue] = min(max(wanted, LEAST_SLOTS), MAX_SLOTS)
        if search.exact and search.begin is not None and not full:
            # There was no backlog after all: back to where a late job may be.
            search.begin, search.exact = search.begin.earlier(LATE_SECONDS), False
            if claim.begin is not None:
                return now
        elif last is not None:
            # Behind the largest claim there is a backlog, mostly, in which a late job waits anyway.
            search.exact = count == claim.most
            search.begin = last if search.exact else last.earlier(LATE_SECONDS)
        if full:
            return now
        return None if claim.begin is None else max(search.rescan_time, now)

    def failed(self, claim: Claim) -> None:
        """Says that a claim has come to nothing, for all that is known; to be settled as well."""
        self._come_back(claim)
        if claim.queue in self._of:
            self._pass_turn(claim, 0)
        # It may have been too large.
        self._sizes.pop(claim.queue, None)

    def _pass_turn(self, claim: Claim, count: int) -> None:
        """The next claim begins behind the last worker that this one has brought a job; behind the
        first if it brought none."""
        *_, last = dict.fromkeys(claim.slots[: max(count, 1)])
        line = self._of[claim.queue]
        if last in line:
            line.rotate(-1 - line.index(last))

    def _come_back(self, claim: Claim) -> None:
        del self._under_way[claim.queue]
        # From now on their real size counts.
        for subscription in claim.slots:
            subscription.reserved_size -= claim.size

    def settle(self, claim: Claim, count: int) -> None:
        """Ends a claim that has arrived or failed: the first `count` of its slots hold a job."""
        for subscription, slots in Counter(claim.slots).items():
            subscription.reserve(claim.queue, -slots)
        for subscription, jobs in Counter(claim.slots[:count]).items():
            subscription.hold(claim.queue, jobs)


def _deal(shares: Sequence[tuple[Subscription, int]], most: int) -> list[Subscription]:
    """One slot for each in turn, until the shares are used up, or there are `most`."""
    rounds = zip_longest(*(repeat(subscription, count) for subscription, count in shares))
    return list(islice((s for s in chain.from_iterable(rounds) if s is not None), most))
