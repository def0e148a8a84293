"""Plans claims: how many jobs of which queue for which worker, and where the search begins.
Pure: no I/O, and the clock's reading is an argument."""

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat, zip_longest
from math import inf

from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.lease import QueuePosition

#: Most jobs claimed in one statement.
MAX_SLOTS = 500
#: Most characters of their inputs, estimated from the inputs that the queue's last claim brought.
MAX_CLAIM_SIZE = 8 << 20
#: Assumed size of an input while none has been seen.
UNKNOWN_SIZE = 128 << 10
#: Jobs that a claim asks of a quiet queue, and the factor for the next claim when all of them were
#: there: a claim for the whole capacity of many idle workers would cost more than the few jobs that
#: it brings.
MIN_SLOTS = 16
_GROWTH = 8
#: Most jobs that are born leased in one statement: it looks for the slot of each.
MAX_BIRTHS = 100
#: A busy queue is searched from its beginning this often; less often where that would take more
#: than a tenth of all time, but once a second at least.
RESCAN_SECONDS = 0.1
MAX_RESCAN_SECONDS = 1.0
RESCAN_SHARE = 0.1
#: A job that is committed up to this long after a job that belongs behind it is still found.
LATE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A decision to lease from a queue: at most one job for each slot, in their order.

    `begin` is where the search begins, None for the beginning of the queue;
    `plan_time` when this was decided; `input_size` the expected size of an
    input; `max_slots` how many slots the claim could have had.
    """

    queue: str
    slots: Sequence[Subscription]
    begin: QueuePosition | None
    plan_time: float
    input_size: int
    max_slots: int


@dataclass(frozen=True, slots=True)
class FollowUp:
    """The next step for the queue of a completed claim; none if the queue may rest.

    `claim_again`: the queue may have more jobs, so plan again. `has_capacity`:
    somebody would take them now, so the next claim can run while the jobs of
    this one are dealt. `rescan_time`: when to wake the queue, for a search from
    its beginning.
    """

    claim_again: bool = False
    has_capacity: bool = False
    rescan_time: float | None = None


@dataclass(slots=True)
class _Search:
    """How far a queue has been searched, and when to begin again."""

    begin: QueuePosition | None = None
    #: Whether `begin` is the exact position of a job, with no allowance for late ones before it.
    exact: bool = False
    rescan_time: float = -inf


_FROM_THE_BEGINNING = _Search()
_REST = FollowUp()


class ClaimPlanner:
    """All subscriptions of a replica, and the queues that may have ready jobs.

    For each claim of a `plan`, call `completed` when it has brought its jobs
    and `release` when they are dealt; or `failed` alone.

    A queue may be ready from `wake` until a claim on it comes back short.
    Capacity is reserved from the plan of a claim until its release, so no
    worker is dealt more than its window. A queue has at most one claim that is
    not completed.
    """

    def __init__(self) -> None:
        self._subscribers: dict[str, deque[Subscription]] = {}
        self._maybe_ready: dict[str, None] = {}
        self._under_way: dict[str, Claim] = {}
        self._searches: dict[str, _Search] = {}
        #: Mean size of the inputs that the last claim brought.
        self._input_sizes: dict[str, int] = {}
        #: How many jobs the next claim asks for.
        self._wanted: dict[str, int] = {}

    @property
    def queues(self) -> list[str]:
        """Queues that somebody subscribes to."""
        return list(self._subscribers)

    def with_capacity(self) -> list[str]:
        """Queues from which somebody would take a job now."""
        return [queue for queue in self._subscribers if self._has_capacity(queue)]

    def join(self, subscription: Subscription) -> None:
        """Adds a subscription; its queues may be ready."""
        for queue in subscription.limits:
            self._subscribers.setdefault(queue, deque()).append(subscription)
        self.wake(subscription.limits)

    def leave(self, subscription: Subscription) -> None:
        """Removes a subscription. Claims under way still name it."""
        for queue in subscription.limits:
            subscribers = self._subscribers[queue]
            subscribers.remove(subscription)
            if not subscribers:
                del self._subscribers[queue]
                self._maybe_ready.pop(queue, None)
                self._searches.pop(queue, None)
                self._input_sizes.pop(queue, None)
                self._wanted.pop(queue, None)

    def wake(self, queues: Iterable[str]) -> bool:
        """Says that queues may have ready jobs. Returns whether anybody here subscribes to one."""
        woken = [queue for queue in queues if queue in self._subscribers]
        self._maybe_ready.update(dict.fromkeys(woken))
        return bool(woken)

    def rescan(self, queues: Iterable[str]) -> None:
        """Makes the next claim on each queue search from the beginning."""
        for queue in queues:
            self._searches.pop(queue, None)

    def plan(self, now: float) -> list[Claim]:
        """Decides what to lease at the time `now` (seconds), and reserves the capacity for it.

        Queues that may be ready share the open window of a worker evenly; the
        share that one of them leaves unused is for the others in the next plan.
        The queue that was served last is served last.
        """
        contenders = [
            q for q in self._maybe_ready if q not in self._under_way and self._has_capacity(q)
        ]
        claims = []
        for index, queue in enumerate(contenders):
            input_size = self._input_sizes.get(queue, UNKNOWN_SIZE)
            max_slots = min(max(MAX_CLAIM_SIZE // max(input_size, 1), 1), MAX_SLOTS)
            wanted = min(max_slots, self._wanted.get(queue, MIN_SLOTS))
            shares = self._shares(queue, contenders[index:], wanted, max_slots)
            slots = _round_robin(shares, wanted)
            if not slots:
                continue
            for subscription, count in Counter(slots).items():
                subscription.reserve(queue, count)
                subscription.reserved_size += count * input_size
            del self._maybe_ready[queue]
            search = self._searches.get(queue, _FROM_THE_BEGINNING)
            begin = search.begin if now < search.rescan_time else None
            claim = Claim(queue, slots, begin, now, input_size, max_slots)
            self._under_way[queue] = claim
            claims.append(claim)
        return claims

    def completed(
        self, claim: Claim, count: int, size: int, last: QueuePosition | None, now: float
    ) -> FollowUp:
        """Records that a claim has brought `count` jobs with inputs of `size` characters together,
        the last of which stood at `last`. The next claim on its queue may be planned from now on,
        before this one is released."""
        self._end(claim)
        if claim.queue not in self._subscribers:
            return _REST
        self._rotate(claim, count)
        if count:
            self._input_sizes[claim.queue] = size // count
        self._adapt_wanted(claim, count)
        search_time = self._advance_search(claim, count, last, now)
        if search_time is None:
            return _REST
        if search_time > now:
            return FollowUp(rescan_time=search_time)
        self._maybe_ready[claim.queue] = None
        return FollowUp(
            claim_again=True, has_capacity=count > 0 and self._has_capacity(claim.queue)
        )

    def release(self, claim: Claim, count: int) -> None:
        """Releases the capacity of a completed claim, but for its first `count` slots: they hold a
        job now."""
        for subscription, slots in Counter(claim.slots).items():
            subscription.reserve(claim.queue, -slots)
        for subscription, jobs in Counter(claim.slots[:count]).items():
            subscription.hold(claim.queue, jobs)

    def failed(self, claim: Claim) -> None:
        """Records that a claim has brought nothing, as far as is known, and releases it. The queue
        rests until it is woken."""
        self._end(claim)
        if claim.queue in self._subscribers:
            self._rotate(claim, 0)
        # It may have been too large.
        self._input_sizes.pop(claim.queue, None)
        self.release(claim, 0)

    def is_idle(self, queue: str) -> bool:
        """Whether a job that is created now may be leased at birth: nothing is known to be ready
        in its queue, and somebody would take it."""
        return bool(self._births(queue))

    def reserve(self, queue: str, count: int, size: int, now: float) -> Claim | None:
        """Reserves capacity for up to `count` jobs that are about to be born leased, with inputs of
        `size` characters together; None while the queue is not idle. To be ended by `born`."""
        slots = _round_robin(self._births(queue), min(count, MAX_BIRTHS))
        if not slots:
            return None
        claim = Claim(queue, slots, None, now, -(-size // count), MAX_BIRTHS)
        for subscription in slots:
            subscription.reserve(queue, 1)
            subscription.reserved_size += claim.input_size
        self._rotate(claim, len(slots))
        return claim

    def born(self, claim: Claim, count: int) -> None:
        """Releases what `reserve` has reserved, but for the first `count` slots."""
        for subscription in claim.slots:
            subscription.reserved_size -= claim.input_size
        self.release(claim, count)

    def _births(self, queue: str) -> list[tuple[Subscription, int]]:
        """The subscriptions that may take jobs of a queue at their birth, and how many each: as
        long as less than half of its window is used, so that what else is created is also seen by
        the workers of other replicas, and as long as none of its queues may be ready."""
        if queue in self._under_way:
            return []
        births = []
        for subscription in self._subscribers.get(queue, ()):
            used = subscription.held + subscription.reserved
            count = min(subscription.capacity(queue), -(-subscription.window // 2) - used)
            if count > 0 and self._maybe_ready.keys().isdisjoint(subscription.limits):
                births.append((subscription, count))
        return births

    def _has_capacity(self, queue: str) -> bool:
        """Whether somebody would take a job of a queue now."""
        return any(
            subscription.capacity(queue) for subscription in self._subscribers.get(queue, ())
        )

    def _shares(
        self, queue: str, contenders: Sequence[str], wanted: int, max_slots: int
    ) -> list[tuple[Subscription, int]]:
        """The first subscriptions with capacity for a queue, `wanted` at most, each with its
        capacity divided by the number of contenders that it subscribes to."""
        shares: list[tuple[Subscription, int]] = []
        for subscription in self._subscribers[queue]:
            if len(shares) == wanted:
                break
            capacity = subscription.capacity(queue)
            if capacity:
                sharing = sum(q in subscription.limits for q in contenders)
                shares.append((subscription, min(-(-capacity // sharing), max_slots)))
        return shares

    def _end(self, claim: Claim) -> None:
        """Lets the next claim on the queue be planned."""
        del self._under_way[claim.queue]
        # From now on the real size of the inputs counts.
        for subscription in claim.slots:
            subscription.reserved_size -= claim.input_size

    def _rotate(self, claim: Claim, count: int) -> None:
        """Makes the next claim begin behind the last worker that got a job of this one; behind the
        first one if nobody did."""
        *_, last = dict.fromkeys(claim.slots[: max(count, 1)])
        subscribers = self._subscribers[claim.queue]
        if last in subscribers:
            subscribers.rotate(-1 - subscribers.index(last))

    def _adapt_wanted(self, claim: Claim, count: int) -> None:
        """Sets how many jobs the next claim asks for."""
        # A full claim that was small for lack of capacity is no reason to ask for fewer.
        before = self._wanted.get(claim.queue, MIN_SLOTS)
        full = count == len(claim.slots)
        wanted = max(_GROWTH * len(claim.slots), before) if full else 2 * count
        self._wanted[claim.queue] = min(max(wanted, MIN_SLOTS), MAX_SLOTS)

    def _advance_search(
        self, claim: Claim, count: int, last: QueuePosition | None, now: float
    ) -> float | None:
        """Sets where the next search begins. Returns when it must take place; None if the queue
        may rest."""
        search = self._searches.setdefault(claim.queue, _Search())
        if claim.begin is None:
            pause = (now - claim.plan_time) / RESCAN_SHARE
            search.rescan_time = now + min(max(RESCAN_SECONDS, pause), MAX_RESCAN_SECONDS)
        full = count == len(claim.slots)
        if search.exact and search.begin is not None and not full:
            # There was no backlog after all: back to where a late job may be.
            search.begin, search.exact = search.begin.earlier(LATE_SECONDS), False
            return None if claim.begin is None else now
        if last is not None:
            # Behind the largest claim there is mostly a backlog, in which a late job waits anyway.
            search.exact = count == claim.max_slots
            search.begin = last if search.exact else last.earlier(LATE_SECONDS)
        if full:
            return now
        return None if claim.begin is None else max(search.rescan_time, now)


def _round_robin(shares: Sequence[tuple[Subscription, int]], max_slots: int) -> list[Subscription]:
    """One slot for each in turn, until the shares are used up or there are `max_slots`."""
    rounds = zip_longest(*(repeat(subscription, count) for subscription, count in shares))
    return list(islice((s for s in chain.from_iterable(rounds) if s is not None), max_slots))
