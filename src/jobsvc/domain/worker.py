"""A worker as the server sees it. Pure values."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A worker as the replica that it talks to sees it."""

    worker_id: str
    queues: tuple[str, ...]
    window: int
    lease_count: int
    version: str
    sdk: str
    labels: dict[str, str]
    #: Whether it makes unary calls, and is on no stream.
    unary: bool = False


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job in the hands of a worker. `start_time` is in seconds since 1970."""

    job_id: str
    queue: str
    attempt: int
    start_time: float


@dataclass(frozen=True, slots=True)
class ListedWorker:
    """A worker as operators see it: `seen` by a replica, with the first jobs that it holds, and
    since when it is to take no more."""

    seen: SeenWorker
    server_id: str
    connect_time: datetime
    last_seen: datetime
    leases: tuple[HeldJob, ...]
    drain_time: datetime | None
