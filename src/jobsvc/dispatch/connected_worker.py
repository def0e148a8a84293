"""One worker on one stream, as dispatch sees it: what it holds, what it has confirmed, and what it
is to be told. Protobuf-free; api/work_stream.py turns it into frames."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import compress
from math import inf
from typing import NoReturn

from jobsvc.dispatch.subscription import Subscription
from jobsvc.domain.lease import LeasedJob, LeaseId, LeaseTerms
from jobsvc.domain.worker import SeenWorker

_MAX_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Lost:
    """News of leases that are gone."""

    lease_ids: Sequence[LeaseId]
    reason: str


@dataclass(frozen=True, slots=True)
class Draining:
    """News that the server is about to go."""

    grace_seconds: float


@dataclass(eq=False, slots=True)
class ConnectedWorker:
    """A subscription and everything that has been dealt to it."""

    subscription: Subscription
    info: SeenWorker
    #: Leases under way, with their terms: no need to read them when their outcome comes.
    held: dict[LeaseId, LeaseTerms] = field(default_factory=dict)
    #: Dealt, but not put into a frame yet.
    undelivered: list[LeasedJob] = field(default_factory=list)
    news: list[Lost | Draining] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    #: When each of those was dealt.
    _dealt: list[float] = field(default_factory=list)
    #: Sent and not confirmed: by the frame's sequence, when it was sent and what was in it.
    unconfirmed: dict[int, tuple[float, set[LeaseId]]] = field(default_factory=dict)
    #: When the worker last confirmed anything.
    _heard: float = -inf
    #: Whether the worker's frames are being read.
    _is_heard: bool = True
    draining: bool = False
    #: To be ended by the server as soon as every answer is out.
    dismissed: bool = False
    #: Why the server ends the stream; set once.
    ended: Exception | None = None

    @property
    def worker_id(self) -> str:
        """Whose stream it is."""
        return self.subscription.worker_id

    def deal(self, jobs: Sequence[LeasedJob], now: float) -> None:
        """Hands over leased jobs; the room for them has been counted already."""
        self.held.update((job.id, job.delivery.terms) for job in jobs)
        self.undelivered += jobs
        self._dealt += [now] * len(jobs)
        self.subscription.unsent_size += _size(jobs)
        self.changed.set()

    def take(self, count: int) -> list[LeasedJob]:
        """The next jobs, which are in a frame now."""
        jobs = self.undelivered[:count]
        del self.undelivered[:count], self._dealt[:count]
        self.subscription.unsent_size -= _size(jobs)
        return jobs

    def overdue(self, now: float) -> list[LeaseId]:
        """Those that have waited for a third of their time to be sent: the worker reads slowly."""
        return [
            job.id
            for job, dealt in zip(self.undelivered, self._dealt, strict=True)
            if now - dealt >= job.delivery.duration_seconds / 3
        ]

    def tell(self, news: Lost | Draining) -> None:
        """Passes news on to the worker."""
        self.news.append(news)
        self.changed.set()

    def end(self, error: Exception) -> None:
        """Ends the stream with an error: no more claims, and whoever serves it stops at once."""
        if self.ended is None:
            self.ended = error
        self.subscription.window = 0
        self.over.set()

    def dismiss(self) -> None:
        """Ends the stream after its last answer: the server is about to go."""
        self.dismissed = True
        self.changed.set()

    async def until_ended(self) -> NoReturn:
        """Waits until the server ends the stream, and raises why."""
        await self.over.wait()
        assert self.ended is not None, "set with the event"
        raise self.ended

    def set_window(self, window: int) -> None:
        """The worker takes more or less from now on; nothing if the stream is on its way out."""
        if not self.draining and self.ended is None:
            self.subscription.window = window

    def sent(self, sequence: int, jobs: Sequence[LeasedJob], now: float) -> None:
        """Notes that a frame with these jobs has gone out."""
        self.unconfirmed[sequence] = (now, {job.id for job in jobs})

    def confirm_frames(self, sequence: int, now: float) -> None:
        """The worker has every frame up to `sequence`."""
        for number in [n for n in self.unconfirmed if n <= sequence]:
            del self.unconfirmed[number]
            self._heard = now

    def confirm(self, lease_ids: Iterable[str], now: float) -> None:
        """The worker has spoken of these leases, so it has them."""
        if self.unconfirmed:
            spoken = set(lease_ids)
            for number, (_, waiting) in list(self.unconfirmed.items()):
                if waiting & spoken:
                    self._heard = now
                waiting -= spoken
                if not waiting:
                    del self.unconfirmed[number]

    def drop(self, lease_ids: Iterable[LeaseId]) -> list[LeaseId]:
        """Leases have ended: there is room again. Answers with those that are not held here."""
        others = []
        ended: Counter[str] = Counter()
        for lease_id in lease_ids:
            held = self.held.pop(lease_id, None)
            if held is None:
                others.append(lease_id)
            else:
                ended[held.queue] += 1
        for queue, count in ended.items():
            self.subscription.hold(queue, -count)
        if self.undelivered:
            still = [job.id in self.held for job in self.undelivered]
            self.undelivered = list(compress(self.undelivered, still))
            self._dealt = list(compress(self._dealt, still))
            self.subscription.unsent_size = _size(self.undelivered)
        return others

    def hear(self, is_heard: bool, now: float) -> None:
        """Says whether the worker's frames are being read. While they are not it cannot confirm
        anything, so its time to do so begins anew when they are."""
        if is_heard and not self._is_heard:
            self.unconfirmed = {n: (now, ids) for n, (_, ids) in self.unconfirmed.items()}
        self._is_heard = is_heard

    def silent_since(self) -> float | None:
        """Since when the worker should have confirmed the oldest frame that it has not.

        On a slow way frames arrive one after the other, so each that is confirmed gives the next
        ones time, up to 15 s.
        """
        if not self._is_heard:
            return None
        return min((since for since, _ in self.awaited()), default=None)

    def awaited(self) -> Iterator[tuple[float, set[LeaseId]]]:
        """The leases of each frame that is not confirmed, and since when that should have been."""
        for sent, lease_ids in self.unconfirmed.values():
            yield max(sent, min(self._heard, sent + _MAX_PATIENCE_SECONDS)), lease_ids

    def seen(self) -> SeenWorker:
        """What operators are shown. The window of a worker that is behind is as good as full."""
        window = 0 if self.draining else self.subscription.window
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
        )


def _size(jobs: Iterable[LeasedJob]) -> int:
    return sum([len(job.input) for job in jobs if job.input is not None])
