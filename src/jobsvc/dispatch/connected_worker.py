"""One worker as dispatch sees it, on a stream or in a unary call that waits: its leases, which of
them it has acknowledged, and the notices for it. Free of protobuf; api/work_stream.py writes
frames."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from math import inf
from typing import NoReturn

from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.lease import Extended, LeasedJob, LeaseId, LeaseTerms
from jobsvc.domain.worker import SeenWorker

_MAX_ACKNOWLEDGE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Lost:
    """Notice that the worker has lost leases."""

    lease_ids: Sequence[LeaseId]
    reason: str


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Notice that jobs which the worker holds are to be cancelled, and how their leases stand."""

    leases: Mapping[LeaseId, Extended]


@dataclass(frozen=True, slots=True)
class Draining:
    """Notice that the worker must go on on another stream, and why."""

    grace_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Retiring:
    """Notice that the worker must finish what it holds, take no more and leave for good, and
    why."""

    reason: str


Notice = Lost | CancelRequested | Draining | Retiring


@dataclass(eq=False, slots=True)
class ConnectedWorker:
    """A subscription and everything that was dealt to it."""

    subscription: Subscription
    info: SeenWorker
    #: Leases under way, with their terms: no need to read those when an outcome comes.
    leases: dict[LeaseId, LeaseTerms] = field(default_factory=dict)
    #: Jobs that were dealt and are not in a frame yet.
    undelivered: list[LeasedJob] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    #: Set when there is something to send or to react to.
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    #: Set when the server ends the stream, because of `error`.
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    #: The time when each undelivered job was dealt.
    _deal_times: list[float] = field(default_factory=list)
    #: Frames that the worker has not acknowledged: send time and leases, by sequence.
    unacknowledged: dict[int, tuple[float, set[LeaseId]]] = field(default_factory=dict)
    _last_acknowledge_time: float = -inf
    _is_read: bool = True
    #: When a worker that was deaf before may get one job; None for any other worker.
    trial_time: float | None = None
    #: The window that the worker asked for, while it is on trial.
    _trial_window: int = 0
    draining: bool = False
    #: Whether it gets no more jobs on any stream.
    retired: bool = False
    #: Whether it has said that it ends this stream to open another one.
    comes_back: bool = False
    #: For the log: the address it connected from, no lease of it is longer, and the jobs that it
    #: handed back since it takes no more.
    peer: str = ""
    longest_lease_seconds: float = 0.0
    handed_back: int = 0
    #: When the stream is told to drain for its age, and since when it drains for it.
    drain_time: float = inf
    #: Why the server ends the stream as soon as every response is out; empty until then.
    dismissal: str = ""
    #: Why the server ends the stream; set once.
    error: Exception | None = None

    @property
    def worker_id(self) -> str:
        """The worker's own name for itself."""
        return self.subscription.worker_id

    @property
    def takes_none(self) -> bool:
        """Whether it must get no more jobs, whatever window it asks for."""
        return self.draining or self.retired

    def deal(self, jobs: Sequence[LeasedJob], now: float) -> None:
        """Hands over leased jobs, whose capacity the planner has counted already."""
        self.leases.update((job.id, job.delivery.terms) for job in jobs)
        # All are of one claim, and as long as each other.
        self.saw_lengths(job.delivery.duration_seconds for job in jobs[:1])
        self.undelivered += jobs
        self._deal_times += [now] * len(jobs)
        self.subscription.unsent_size += _size(jobs)
        self.changed.set()

    def saw_lengths(self, seconds: Iterable[float]) -> None:
        """Records how long leases of the worker are."""
        self.longest_lease_seconds = max(self.longest_lease_seconds, *seconds, 0.0)

    def take(self, count: int) -> list[LeasedJob]:
        """Removes and returns the next jobs, which are in a frame now."""
        jobs = self.undelivered[:count]
        del self.undelivered[:count], self._deal_times[:count]
        self.subscription.unsent_size -= _size(jobs)
        return jobs

    def overdue(self, now: float) -> list[LeaseId]:
        """Leases that have waited a third of their duration to be sent: the worker reads slowly."""
        return [
            job.id
            for job, dealt in zip(self.undelivered, self._deal_times, strict=True)
            if now - dealt >= job.delivery.duration_seconds / 3
        ]

    def notify(self, notice: Notice) -> None:
        """Passes a notice on to the worker."""
        self.notices.append(notice)
        self.changed.set()

    def take_notices(self) -> list[Notice]:
        """Removes and returns the notices that can be sent: the cancellation of a job that the
        worker has not been sent yet comes after the job."""
        unsent = {job.id for job in self.undelivered}
        taken, self.notices = self.notices, []
        if unsent:
            for notice in taken:
                if isinstance(notice, CancelRequested) and notice.leases.keys() & unsent:
                    self.notices.append(notice)
            taken = [notice for notice in taken if notice not in self.notices]
        return taken

    def end(self, error: Exception) -> None:
        """Ends the stream with an error: no more claims, and its server task stops at once."""
        if self.error is None:
            self.error = error
        self.subscription.window = 0
        self.stop.set()

    def dismiss(self, reason: str) -> None:
        """Ends the stream after its last response, for a reason that the worker is told."""
        self.dismissal = reason
        self.changed.set()

    def hand_over(self) -> None:
        """Leaves its leases to a later stream of the worker, which has listed those it knows."""
        self.drop(list(self.leases))
        self.unacknowledged.clear()

    async def until_ended(self) -> NoReturn:
        """Waits until the server ends the stream, and raises the reason."""
        await self.stop.wait()
        assert self.error is not None, "set before the event"
        raise self.error

    def set_window(self, window: int) -> None:
        """Changes how many jobs the worker takes; ignored while the stream is about to end."""
        if self.trial_time is not None:
            self._trial_window = window
            window = min(window, self.subscription.window)
        if not self.takes_none and self.error is None:
            self.subscription.window = window

    def begin_trial(self, trial_time: float) -> None:
        """Gives the worker nothing until `trial_time`, then one job, until it shows that it hears:
        it was deaf before."""
        self.trial_time, self._trial_window = trial_time, self.subscription.window
        self.subscription.window = 0

    def open_trial(self, now: float) -> bool:
        """Gives a worker on trial its one job if it is time. Returns whether it did."""
        if self.trial_time is None or now < self.trial_time or self.subscription.window:
            return False
        if self.takes_none or self.error is not None or not self._trial_window:
            return False
        self.subscription.window = 1
        return True

    def pass_trial(self) -> None:
        """Gives the worker the window that it asked for: it has shown that it hears."""
        self.trial_time = None
        self.set_window(self._trial_window)

    def sent(self, sequence: int, jobs: Sequence[LeasedJob], now: float) -> None:
        """Records that a frame with these jobs has gone out."""
        self.unacknowledged[sequence] = (now, {job.id for job in jobs})

    def acknowledge_frames(self, sequence: int, now: float) -> None:
        """Records that the worker has every frame up to `sequence`."""
        for number in [n for n in self.unacknowledged if n <= sequence]:
            del self.unacknowledged[number]
            self._last_acknowledge_time = now

    def acknowledge_leases(self, lease_ids: Iterable[str], now: float) -> None:
        """Records that the worker has named these leases, and therefore has them."""
        if self.unacknowledged:
            named = set(lease_ids)
            for number, (_, waiting) in list(self.unacknowledged.items()):
                if waiting & named:
                    self._last_acknowledge_time = now
                waiting -= named
                if not waiting:
                    del self.unacknowledged[number]

    def drop(self, lease_ids: Iterable[LeaseId]) -> list[LeaseId]:
        """Frees the capacity of leases that have ended. Returns those that are not held here."""
        others = []
        ended: Counter[str] = Counter()
        for lease_id in lease_ids:
            terms = self.leases.pop(lease_id, None)
            if terms is None:
                others.append(lease_id)
            else:
                ended[terms.queue] += 1
        for queue, count in ended.items():
            self.subscription.hold(queue, -count)
        if self.undelivered:
            still = [job.id in self.leases for job in self.undelivered]
            self.undelivered = list(compress(self.undelivered, still))
            self._deal_times = list(compress(self._deal_times, still))
            self.subscription.unsent_size = _size(self.undelivered)
        return others

    def forget(self) -> None:
        """Drops what it held, once its stream has ended and it has left.

        The stream's error may hold it in a cycle, until the collector comes.
        """
        self.leases, self.undelivered, self._deal_times = {}, [], []

    def set_reading(self, is_read: bool, now: float) -> None:
        """Says whether the worker's frames are being read. While they are not, it cannot
        acknowledge anything; so its time to acknowledge begins anew when they are."""
        if is_read and not self._is_read:
            self.begin_anew(now)
        self._is_read = is_read

    def begin_anew(self, now: float) -> None:
        """Gives the worker all its time to acknowledge anew: its frames were not read until now."""
        self.unacknowledged = {n: (now, ids) for n, (_, ids) in self.unacknowledged.items()}

    def silent_since(self) -> float | None:
        """Since when the worker should have acknowledged its oldest unacknowledged frame.

        On a slow connection frames arrive one after the other, so each acknowledged frame gives
        those behind it more time, up to 15 s.
        """
        if not self._is_read:
            return None
        return min((since for since, _ in self.awaiting_acknowledgement()), default=None)

    def awaiting_acknowledgement(self) -> Iterator[tuple[float, set[LeaseId]]]:
        """Since when each unacknowledged frame should have been acknowledged, and its leases."""
        for sent, lease_ids in self.unacknowledged.values():
            extended = min(self._last_acknowledge_time, sent + _MAX_ACKNOWLEDGE_SECONDS)
            yield max(sent, extended), lease_ids

    def seen(self) -> SeenWorker:
        """The worker as operators see it. The window of one that is behind counts as full."""
        window = 0 if self.takes_none else self.subscription.window
        if self.subscription.is_behind:
            window = min(window, self.subscription.held)
        return SeenWorker(
            self.info.worker_id,
            self.info.queues,
            window,
            self.subscription.held,
            self.info.version,
            self.info.sdk,
            self.info.labels,
            self.subscription.unary,
        )


def _size(jobs: Iterable[LeasedJob]) -> int:
    return sum([len(job.input) for job in jobs if job.input is not None])
