"""A worker as the server sees it. Pure values."""

from dataclasses import dataclass


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
