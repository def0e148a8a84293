"""A queue as its caller sees it. Durations are seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from jobsvc.client.duration import Duration
from jobsvc.client.job_retry import RetryPolicy


class QueueOptions(TypedDict, total=False):
    """Options of a queue that is declared.

    The schemas are JSON Schema (2020-12) for the payloads, `lease` is how long a
    worker holds a job without a sign of life; the others are the defaults of
    its jobs, as in `NewJob`. Any: a JSON Schema can hold any JSON.
    """

    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    retry: RetryPolicy
    attempt_timeout: Duration
    lease: Duration
    retention: Duration
    start_within: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWarning:
    """Something about a queue that works, and that may not be meant.

    `field` is its path, `reason` for programs, `message` a sentence.
    """

    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A named line of jobs of one kind, with the defaults of its jobs.

    `warnings` are those of the call that declared it.
    """

    name: str
    paused: bool
    max_attempts: int | None
    attempt_timeout_seconds: float | None
    lease_seconds: float | None
    retention_seconds: float | None
    start_within_seconds: float | None
    create_time: datetime | None
    update_time: datetime | None
    etag: str
    warnings: tuple[QueueWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """How a queue is doing; the counts may be up to a second old.

    `scheduled_count` jobs wait for a time or a retry, `ready_count` for a
    worker. `oldest_ready_seconds` is how long the oldest ready job has waited,
    `open_window` how many jobs the workers would take at once.
    """

    queue: str
    paused: bool
    scheduled_count: int
    ready_count: int
    processing_count: int
    oldest_ready_seconds: float | None
    worker_count: int
    open_window: int
