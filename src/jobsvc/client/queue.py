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
    worker holds a job without a sign of life, `max_waiting` how many jobs may wait
    for more to be created (0: any number); the others are the defaults of
    its jobs, as in `NewJob`. Any: a JSON Schema can hold any JSON.
    """

    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    retry: RetryPolicy
    attempt_timeout: Duration
    lease: Duration
    retention: Duration
    start_within: Duration
    max_waiting: int


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

    `warnings` are those of the call that declared it; `pause_end_time` is when a pause
    ends by itself, `deleting` says that it is being removed.
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
    max_waiting: int | None = None
    pause_reason: str = ""
    pause_end_time: datetime | None = None
    deleting: bool = False
    warnings: tuple[QueueWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DurationPercentiles:
    """How so many durations are distributed, in seconds; at most half too high, or a third too
    low."""

    count: int
    p50_seconds: float
    p95_seconds: float
    p99_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHistoryStep:
    """What has become of the jobs of a queue in some minutes, by the clock of the database.

    `failed_counts` has the failures by reason, `retried_count` the attempts whose jobs wait again.
    `ready_count` and `processing_count` are the most that waited and ran at once, of one look a
    minute. `wait` is how long jobs had been ready when they were leased, `run` how long attempts
    took; None when there are none.
    """

    start_time: datetime
    duration_seconds: float
    created_count: int
    completed_count: int
    cancelled_count: int
    failed_count: int
    failed_counts: Mapping[str, int]
    retried_count: int
    ready_count: int
    processing_count: int
    wait: DurationPercentiles | None
    run: DurationPercentiles | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStats:
    """How a queue is doing; the counts may be up to a second old.

    `scheduled_count` jobs wait for a time or a retry, `ready_count` for a
    worker. `oldest_ready_seconds` is how long the oldest ready job has waited,
    `open_window` how many jobs the workers would take at once, `recent` what has
    become of jobs in the last five minutes if that was asked for, None for nothing.
    """

    queue: str
    paused: bool
    scheduled_count: int
    ready_count: int
    processing_count: int
    oldest_ready_seconds: float | None
    worker_count: int
    open_window: int
    deleting: bool = False
    recent: QueueHistoryStep | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """A job in the hands of a worker."""

    job_id: str
    queue: str
    attempt: int
    start_time: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker process as the server sees it.

    `window` is how many jobs it wants to hold, `leases` has up to 100 that it holds,
    `drain_time` since when it is to take no more. `server_id` is empty for one that
    makes unary calls.
    """

    id: str
    version: str
    sdk: str
    labels: Mapping[str, str]
    queues: tuple[str, ...]
    window: int
    lease_count: int
    leases: tuple[HeldLease, ...]
    server_id: str
    connect_time: datetime | None
    last_seen_time: datetime | None
    drain_time: datetime | None
