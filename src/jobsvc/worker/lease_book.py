"""The leases of a worker and the outcomes that are not confirmed. Pure bookkeeping."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from jobsvc.worker.outcome import Outcome

T = TypeVar("T")

#: Bytes that an outcome adds to a frame besides its own: tag and length.
_ITEM_BYTES = 6


class LeaseBook(Generic[T]):
    """Every lease is either waiting, running, or ended with an outcome to deliver.

    An outcome is unsent, sent, or deferred (the server could not store it just
    now), and is kept until `forget`. `T` is the worker's record of an attempt.
    Must be used by one thread only.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._waiting: dict[str, T] = {}
        self._running: dict[str, T] = {}
        self._unsent: dict[str, Outcome] = {}
        self._sent: dict[str, Outcome] = {}
        self._deferred: dict[str, Outcome] = {}
        #: Of every lease with an outcome.
        self._ended: dict[str, T] = {}
        self._replaced: set[str] = set()
        self._unconfirmed_before: set[str] = set()
        #: How many outcomes were sent and became unsent again.
        self.resent = 0

    def take(self, lease_id: str, attempt: T) -> bool:
        """Adds a new lease; returns False if it is known already."""
        if lease_id in self._running or lease_id in self._waiting or self._has_outcome(lease_id):
            return False
        self._waiting[lease_id] = attempt
        return True

    def start(self) -> list[T]:
        """Moves waiting leases to running, in order, up to the concurrency."""
        waiting, running = self._waiting, self._running
        count = min(len(waiting), self._concurrency - len(running))
        started = []
        for lease_id in list(waiting)[: max(0, count)]:
            attempt = running[lease_id] = waiting.pop(lease_id)
            started.append(attempt)
        return started

    def end(self, outcome: Outcome) -> T | None:
        """Ends a waiting or running lease by `outcome`; returns None if it is neither."""
        lease_id = _lease_of(outcome)
        attempt = self.lose(lease_id)
        if attempt is not None:
            self._unsent[lease_id] = outcome
            self._ended[lease_id] = attempt
        return attempt

    def ended(self, lease_id: str) -> T | None:
        """Returns the attempt of a lease whose outcome is not confirmed."""
        return self._ended.get(lease_id)

    def amend(self, outcome: Outcome) -> None:
        """Puts `outcome` in the place of the unsent outcome of its lease."""
        self._unsent[_lease_of(outcome)] = outcome

    def lose(self, lease_id: str) -> T | None:
        """Removes a waiting or running lease; returns None if it is neither.

        The outcome of an ended lease stays until the server confirms it: a lease
        is also gone once its outcome has been committed.
        """
        attempt = self._running.pop(lease_id, None)
        return self._waiting.pop(lease_id, None) if attempt is None else attempt

    def find(self, lease_id: str) -> T | None:
        """Returns the attempt of a waiting or running lease."""
        attempt = self._running.get(lease_id)
        return self._waiting.get(lease_id) if attempt is None else attempt

    def waits(self, lease_id: str) -> bool:
        """Whether the lease waits to be started."""
        return lease_id in self._waiting

    def attempts(self) -> Iterator[T]:
        """Yields the running attempts, then the waiting ones."""
        yield from self._running.values()
        yield from self._waiting.values()

    @property
    def running(self) -> int:
        """How many leases run."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many leases wait."""
        return len(self._waiting)

    @property
    def open(self) -> int:
        """How many leases wait or run."""
        return len(self._waiting) + len(self._running)

    @property
    def unconfirmed(self) -> int:
        """How many outcomes are not confirmed."""
        return len(self._unsent) + len(self._sent) + len(self._deferred)

    @property
    def in_flight(self) -> bool:
        """Whether an outcome was sent that is neither confirmed nor refused."""
        return bool(self._sent)

    @property
    def next_bytes(self) -> int:
        """What the next outcome adds to a frame; 0 when there is none."""
        return next((_size(o) + _ITEM_BYTES for o in self._unsent.values()), 0)

    @property
    def next_lease_id(self) -> str:
        """The lease of the next outcome; empty when there is none."""
        return next(iter(self._unsent), "")

    def send(self, max_items: int, max_bytes: float) -> list[Outcome]:
        """Returns unsent outcomes for a frame; they count as sent. At least one, however large."""
        frame: dict[str, Outcome] = {}
        size = 0
        for lease_id, outcome in self._unsent.items():
            size += _size(outcome) + _ITEM_BYTES
            if frame and (size > max_bytes or len(frame) == max_items):
                break
            frame[lease_id] = outcome
        self._sent.update(frame)
        for lease_id in frame:
            del self._unsent[lease_id]
        return list(frame.values())

    def forget(self, lease_id: str) -> None:
        """Drops an outcome that the server has committed or refused for good."""
        if self._sent.pop(lease_id, None) is None:
            self._unsent.pop(lease_id, None)
            self._deferred.pop(lease_id, None)
        self._ended.pop(lease_id, None)
        self._replaced.discard(lease_id)

    def defer(self, lease_id: str) -> None:
        """Keeps back a sent outcome that the server could not store, until `resend_deferred`."""
        outcome = self._sent.pop(lease_id, None)
        if outcome is not None:
            self._deferred[lease_id] = outcome

    def postpone(self, lease_id: str) -> bool:
        """Keeps back an unsent outcome until `resend_deferred`; returns False if there is none."""
        outcome = self._unsent.pop(lease_id, None)
        if outcome is not None:
            self._deferred[lease_id] = outcome
        return outcome is not None

    def replace(self, outcome: Outcome) -> bool:
        """Puts `outcome` where the server called an outcome malformed; only once for a lease.

        Returns False, and forgets the lease, if the malformed outcome was a
        replacement itself or is not known.
        """
        lease_id = _lease_of(outcome)
        fresh = self._has_outcome(lease_id) and lease_id not in self._replaced
        attempt = self._ended.get(lease_id)
        self.forget(lease_id)
        if fresh and attempt is not None:
            self._ended[lease_id] = attempt
            self._replaced.add(lease_id)
            self._unsent[lease_id] = outcome
        return fresh

    def resend_deferred(self) -> None:
        """Makes deferred outcomes unsent again."""
        self.resent += len(self._deferred)
        self._unsent.update(self._deferred)
        self._deferred.clear()

    def resend_all(self) -> None:
        """Makes all outcomes unsent again, for another stream.

        Those that were under way come last: one of them may be what broke the stream.
        """
        self.resent += len(self._deferred) + len(self._sent)
        self._unsent = {**self._deferred, **self._unsent, **self._sent}
        self._sent.clear()
        self._deferred.clear()

    def lease_ids(self) -> list[str]:
        """Returns every lease that is not forgotten, those with an unconfirmed outcome included."""
        books = (self._running, self._waiting, self._sent, self._deferred, self._unsent)
        return [lease_id for book in books for lease_id in book]

    def extend(self) -> list[str]:
        """Returns the leases to extend. Must be called once every interval.

        These are the running and waiting leases, and those whose outcome was
        unconfirmed at the last call too: fresh outcomes are probably confirmed by now.
        """
        unconfirmed = self._sent.keys() | self._deferred.keys() | self._unsent.keys()
        late = unconfirmed & self._unconfirmed_before
        self._unconfirmed_before = unconfirmed
        return [*self._running, *self._waiting, *late]

    def _has_outcome(self, lease_id: str) -> bool:
        return lease_id in self._sent or lease_id in self._unsent or lease_id in self._deferred


def _lease_of(outcome: Outcome) -> str:
    return outcome if isinstance(outcome, str) else outcome.lease_id


def _size(outcome: Outcome) -> int:
    # An id is counted as a message, which is sent to a server that takes no ids.
    return len(outcome) + _ITEM_BYTES if isinstance(outcome, str) else outcome.ByteSize()
