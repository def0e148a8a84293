"""A queue, its policy and its counts. Pure values."""

from dataclasses import dataclass, field
from datetime import datetime

from jobsvc.domain.run_policy import RunPolicy


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """The settings of a queue for its jobs. None takes the default of the server."""

    input_schema: str | None = None  # JSON
    output_schema: str | None = None  # JSON
    lease_seconds: float | None = None
    run_policy: RunPolicy = field(default_factory=RunPolicy)


@dataclass(frozen=True, slots=True)
class Queue:
    """A named queue of jobs of one kind."""

    name: str
    paused: bool
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
    scheduled: int
    ready: int
    processing: int
    oldest_ready_seconds: float | None
    workers: int
    open_window: int
