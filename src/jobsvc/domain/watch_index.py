"""Which watchers a job may concern: a few look-ups, however many watchers there are. Pure."""

from collections import Counter
from collections.abc import Hashable, Iterator
from itertools import product
from typing import Generic, Protocol, TypeVar

from jobsvc.domain.job import Job
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner


class Watch(Protocol):
    """A filter, and for whom it selects jobs. Never changes while it is in an index."""

    @property
    def wanted(self) -> JobFilter: ...

    @property
    def caller(self) -> Owner: ...


W = TypeVar("W", bound=Watch)

#: In place of the owner, and of the service, for callers who see the jobs of everybody.
_ANYBODY = ("anybody",)


class WatchIndex(Generic[W]):
    """Finds the watchers that may see a job and want it.

    Each watcher stands under keys made of a queue, an owner and a label, any of which may be left
    out. A job has few keys, and one of them is among those of every watcher that it matches.
    """

    def __init__(self) -> None:
        self._by_key: dict[Hashable, dict[W, None]] = {}
        #: How many watchers there are of each queue; of None, those of all queues.
        self._queues: Counter[str | None] = Counter()
        #: How many watchers see the jobs of everybody.
        self._see_all = 0

    def __bool__(self) -> bool:
        return bool(self._queues)

    @property
    def queues(self) -> frozenset[str] | None:
        """The queues that are watched; None if all are."""
        return None if None in self._queues else frozenset(q for q in self._queues if q is not None)

    def add(self, watcher: W) -> None:
        """Adds a watcher, once."""
        for key in _watched_keys(watcher):
            self._by_key.setdefault(key, {})[watcher] = None
        self._queues.update(watcher.wanted.queues or (None,))
        self._see_all += watcher.caller.sees_all

    def remove(self, watcher: W) -> None:
        """Removes a watcher that was added."""
        for key in _watched_keys(watcher):
            watchers = self._by_key[key]
            watchers.pop(watcher)
            if not watchers:
                del self._by_key[key]
        self._queues.subtract(watcher.wanted.queues or (None,))
        self._queues = +self._queues
        self._see_all -= watcher.caller.sees_all

    def candidates(self, job: Job) -> dict[W, None]:
        """Returns all watchers that a job matches, and a few others: ask each."""
        found: dict[W, None] = {}
        for key in _job_keys(job, bool(self._see_all)):
            if (watchers := self._by_key.get(key)) is not None:
                found |= watchers
        return found


def _watched_keys(watcher: Watch) -> Iterator[Hashable]:
    wanted, caller = watcher.wanted, watcher.caller
    owners: list[Hashable]
    if wanted.own_session:
        owners = [*caller.session_hashes]
    elif wanted.own_user:
        owners = [caller.user_id]
    elif caller.sees_all:
        owners = [_ANYBODY]
    else:
        # None: jobs that are bound to nobody.
        owners = [None, *caller.session_hashes]
        if caller.user_id:
            owners.append(caller.user_id)
    label = min(wanted.labels.items(), default=None)
    for queue, owner in product(wanted.queues or (None,), owners):
        yield queue, _ANYBODY if caller.sees_all else caller.service, owner, label


def _job_keys(job: Job, for_all: bool) -> Iterator[Hashable]:
    """With `for_all`, those of callers who see everybody's jobs, too."""
    owner = job.owner
    owners: list[Hashable] = []
    if owner.session_hash is not None:
        owners.append(owner.session_hash)
    if owner.user_id:
        owners.append(owner.user_id)
    labels = (None, *job.labels.items())
    for queue, bound_to, label in product((job.queue, None), owners or (None,), labels):
        yield queue, owner.service, bound_to, label
    if for_all:
        for queue, bound_to, label in product((job.queue, None), (*owners, _ANYBODY), labels):
            yield queue, _ANYBODY, bound_to, label
