"""One attempt at a job in this process: what the session, the runner and the context share."""

import asyncio
from collections.abc import Callable
from enum import Enum
from math import inf

from jobsvc.v1.worker_service_pb2 import JobLease
from jobsvc.worker.duration import from_duration


class Stop(Enum):
    """Why an attempt has to stop before its processor is done."""

    CANCEL_REQUESTED = "cancellation was requested"
    LOST = "the lease was lost"
    TIMED_OUT = "the attempt ran longer than attempt_timeout"
    RELEASED = "the worker is leaving"


class RunningAttempt:
    """A leased job and how far it has come. Slots and no properties: one is made for every job.

    Written by one side and read by the others without a lock; every field is
    replaced whole.
    """

    __slots__ = (
        "begun",
        "deadline",
        "lease",
        "lease_id",
        "listeners",
        "progress",
        "progress_told",
        "queue",
        "stop",
        "task",
        "tell_progress",
    )

    def __init__(
        self,
        lease: JobLease,
        now: float,
        tell_progress: Callable[["RunningAttempt"], None],
    ) -> None:
        """`now` is the monotonic clock at the arrival; `tell_progress` may be called anywhere."""
        timeout_seconds = from_duration(lease.attempt_timeout)
        self.lease = lease
        # Of a message, each look makes another text.
        self.lease_id: str = lease.lease_id
        self.queue: str = lease.queue
        #: On the monotonic clock.
        self.deadline = now + timeout_seconds if timeout_seconds > 0 else inf
        self.stop: Stop | None = None
        self.progress: tuple[int, str] | None = None
        #: Whether the session knows that there is progress to fetch.
        self.progress_told = False
        self.tell_progress = tell_progress
        #: Whether the processor's code was entered.
        self.begun = False
        self.task: asyncio.Task[None] | None = None
        #: Called, from any thread, when `stop` is set.
        self.listeners: list[Callable[[], None]] | None = None

    def request_stop(self, stop: Stop) -> None:
        """Raises the flag; the first reason stays, except that a lost lease is final."""
        if self.stop is None or stop is not Stop.CANCEL_REQUESTED:
            self.stop = stop
        # The flag first, then the listeners; `listen` does it the other way round,
        # so one of the two sides always sees the other.
        for listener in list(self.listeners or ()):
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Calls `listener` once the attempt has to stop, at once if it already has; maybe twice."""
        self.listeners = [*(self.listeners or ()), listener]
        if self.stop is not None:
            listener()

    def set_progress(self, percent: int, message: str) -> None:
        """Replaces the progress, and tells the session unless it knows of unsent news already."""
        self.progress = (percent, message)
        if not self.progress_told:
            self.progress_told = True
            self.tell_progress(self)
