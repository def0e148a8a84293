"""An attempt in this process: the state that session, runner and context share."""

import asyncio
from collections.abc import Callable
from enum import Enum
from math import inf

from jobsvc.v1.worker_service_pb2 import JobLease
from jobsvc.worker.duration import from_duration

#: Share of its attempt_timeout for which a job may wait in the worker. The server counts
#: the time from the lease, so the wait is taken from the processor.
WAITING_SHARE = 0.1


class Stop(Enum):
    """Why an attempt must stop before its processor is done."""

    CANCEL_REQUESTED = "cancellation was requested"
    LOST = "the lease was lost"
    TIMED_OUT = "the attempt ran longer than attempt_timeout"
    RELEASED = "the worker is leaving"
    NOT_BEGUN = "the attempt did not begin in time"


class RunningAttempt:
    """A leased job and its state here. Slots and no properties: one is made for every job.

    Every field is replaced whole, so that other threads can read it without a lock.
    """

    __slots__ = (
        "begin_by",
        "begin_time",
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
        """`now` is the monotonic clock at delivery; `tell_progress` is called in any thread."""
        timeout_seconds = from_duration(lease.attempt_timeout)
        self.lease = lease
        # Copied: each access to the message would make another text.
        self.lease_id: str = lease.lease_id
        self.queue: str = lease.queue
        #: Reading of the monotonic clock; infinite without a timeout.
        self.deadline = now + timeout_seconds if timeout_seconds > 0 else inf
        #: When an attempt that has not begun is handed back, on the same clock.
        self.begin_by = now + WAITING_SHARE * timeout_seconds if timeout_seconds > 0 else inf
        self.stop: Stop | None = None
        self.progress: tuple[int, str] | None = None
        #: Whether the session knows that there is progress to fetch.
        self.progress_told = False
        self.tell_progress = tell_progress
        #: Whether the attempt has begun to run.
        self.begun = False
        #: When it began, on the same clock; 0.0 until then.
        self.begin_time = 0.0
        self.task: asyncio.Task[None] | None = None
        #: Called, from any thread, when `stop` is set.
        self.listeners: list[Callable[[], None]] | None = None

    def request_stop(self, stop: Stop) -> None:
        """Sets the flag. CANCEL_REQUESTED does not replace another reason; all others do."""
        if self.stop is None or stop is not Stop.CANCEL_REQUESTED:
            self.stop = stop
        # The flag is set before the listeners are read; `listen` adds one before it
        # reads the flag. So no listener is missed.
        for listener in list(self.listeners or ()):
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Calls `listener` once the attempt must stop, possibly at once, possibly twice."""
        self.listeners = [*(self.listeners or ()), listener]
        if self.stop is not None:
            listener()

    def set_progress(self, percent: int, message: str) -> None:
        """Replaces the progress, and tells the session unless it was told since the last frame."""
        self.progress = (percent, message)
        if not self.progress_told:
            self.progress_told = True
            self.tell_progress(self)
