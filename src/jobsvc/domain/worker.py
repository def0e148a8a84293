"""A worker as the server sees it. Pure values."""

from dataclasses import dataclass
from datetime import datetime


def worker_of(service: str, worker_id: str) -> str:
    """Returns the worker id of a worker of a service: no other service can use it, whatever its
    workers call themselves, since the name of a service has no blank. `service` is empty where
    nobody is authenticated."""
    return f"{service} {worker_id}" if service else worker_id


def is_worker_of(service: str, worker_id: str) -> bool:
    """Returns whether a worker id, as `worker_of` returns it, is of a worker of the service."""
    return worker_id.startswith(worker_of(service, ""))


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
