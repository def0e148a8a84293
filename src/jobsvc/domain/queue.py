"""A queue: what it expects of its jobs. Pure values."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class QueuePolicy:
    """What a queue says of its jobs. None takes the default of the server; seconds throughout."""

    input_schema: str | None = None  # JSON
    output_schema: str | None = None  # JSON
    max_attempts: int | None = None
    initial_backoff_seconds: float | None = None
    max_backoff_seconds: float | None = None
    backoff_multiplier: float | None = None
    attempt_timeout_seconds: float | None = None
    lease_seconds: float | None = None
    retention_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """A named line of jobs of one kind."""

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
