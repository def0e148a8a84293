"""A queue, its policy and its counts. Pure values."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobsvc.domain.errors import EtagMismatch, InvalidRequest, Violation
from jobsvc.domain.run_policy import RunPolicy


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """The settings of a queue for its jobs. None takes the default of the server."""

    input_schema: str | None = None  # JSON
    output_schema: str | None = None  # JSON
    lease_seconds: float | None = None
    run_policy: RunPolicy = field(default_factory=RunPolicy)
    #: No job is created while as many wait.
    max_waiting: int | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Why a queue is paused, and when that ends by itself; None: when somebody resumes it."""

    reason: str = ""
    end_time: datetime | None = None

    @property
    def detail(self) -> str:
        """What is to be said about it, for people; empty for nothing."""
        until = f"until {self.end_time:%Y-%m-%d %H:%M:%S %Z}" if self.end_time else ""
        return ", ".join(filter(None, (self.reason, until)))


@dataclass(frozen=True, slots=True)
class Queue:
    """A named queue of jobs of one kind."""

    name: str
    #: None while it dispatches jobs.
    pause: Pause | None
    #: Whether it is being removed with all its jobs. It takes none, and is paused.
    deleting: bool
    policy: QueuePolicy
    input_schema_id: int | None
    output_schema_id: int | None
    create_time: datetime
    update_time: datetime
    revision: int

    @property
    def etag(self) -> str:
        """Opaque value that changes with every change of the queue."""
        return f"{self.revision:x}"

    def check_etag(self, etag: str) -> None:
        """Checks that an etag is that of the queue; an empty one is that of any.

        Raises:
            EtagMismatch: the queue has changed.
        """
        if etag and etag != self.etag:
            raise EtagMismatch("the queue has changed since its etag was read", queue=self.name)


def pause_end(end_time: datetime | None, seconds: float | None, now: datetime) -> datetime | None:
    """Returns when a pause ends by itself that was asked for until a time, or for so long.

    Raises:
        InvalidRequest: it would have ended already.
    """
    if seconds is not None:
        return now + timedelta(seconds=seconds)
    if end_time is not None and end_time <= now:
        raise InvalidRequest([Violation("end_time", "is not in the future")])
    return end_time


@dataclass(frozen=True, slots=True)
class QueueWarning:
    """Something about a queue that works, and that may not be meant. `field` is its path."""

    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class QueueUpdate:
    """A queue before and after a change.

    `superseded` names schemas of the change that the queue has had and replaced; the change was
    left out then.
    """

    before: Queue
    queue: Queue
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """How a queue is doing; `oldest_ready_seconds` None when nothing is ready."""

    name: str
    paused: bool
    deleting: bool
    scheduled: int
    ready: int
    processing: int
    oldest_ready_seconds: float | None
    workers: int
    open_window: int
    #: Those of the workers that hold leases, of whatever queue.
    busy_workers: int = 0
    #: None without a bound.
    max_waiting: int | None = None
