"""A request for a job, and the job that it asks for. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from jobsvc.domain.errors import JobsvcError
from jobsvc.domain.job import JobOptions
from jobsvc.domain.queue import Queue
from jobsvc.domain.retry import RetryPolicy
from jobsvc.settings import Settings

T = TypeVar("T")


class RequestedOptions(msgspec.Struct, frozen=True):
    """How a job is asked to run; None takes the default of the queue.

    `fail_if_taken` says what to do about a taken unique key: fail, or answer with its holder.
    """

    queue: str
    priority: int
    schedule_time: datetime | None
    expire_time: datetime | None
    ttl_seconds: float | None
    attempt_timeout_seconds: float | None
    max_attempts: int | None
    initial_backoff_seconds: float | None
    max_backoff_seconds: float | None
    backoff_multiplier: float | None
    retention_seconds: float | None
    fail_if_taken: bool
    labels: dict[str, str]


class JobRequest(msgspec.Struct, frozen=True):
    """A request for a job, checked on its own. `payload` is the object that `input` spells."""

    options: RequestedOptions
    input: str | None
    payload: dict[str, Any]
    unique_key: str | None = None
    request_id: str | None = None
    request_digest: bytes | None = None
    #: Which item of a batch this is.
    index: int | None = None

    @property
    def input_path(self) -> str:
        """Where the input stands in the call."""
        return "spec.input" if self.index is None else f"requests[{self.index}].spec.input"

    @property
    def place(self) -> dict[str, str]:
        """What an error says of where the request stands in the call."""
        return {} if self.index is None else {"index": str(self.index)}

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Adds the place to an error of the block."""
        try:
            yield
        except JobsvcError as error:
            error.metadata.update(self.place)
            raise


def resolve(asked: RequestedOptions, queue: Queue, settings: Settings) -> JobOptions:
    """How a job will run: what its request leaves open is up to the queue, then the server."""
    policy = queue.policy
    return JobOptions(
        queue=asked.queue,
        priority=asked.priority,
        schedule_time=asked.schedule_time,
        expire_time=asked.expire_time,
        ttl_seconds=asked.ttl_seconds,
        attempt_timeout_seconds=_first(
            asked.attempt_timeout_seconds,
            policy.attempt_timeout_seconds,
            settings.attempt_timeout_seconds,
        ),
        retry=RetryPolicy(
            _first(asked.max_attempts, policy.max_attempts, settings.max_attempts),
            _first(
                asked.initial_backoff_seconds,
                policy.initial_backoff_seconds,
                settings.initial_backoff_seconds,
            ),
            _first(
                asked.max_backoff_seconds,
                policy.max_backoff_seconds,
                settings.max_backoff_seconds,
            ),
            _first(
                asked.backoff_multiplier,
                policy.backoff_multiplier,
                settings.backoff_multiplier,
            ),
        ),
        retention_seconds=(
            policy.retention_seconds if asked.retention_seconds is None else asked.retention_seconds
        ),
        labels=asked.labels,
        output_schema_id=queue.output_schema_id,
    )


def _first(asked: T | None, of_queue: T | None, of_server: T) -> T:
    if asked is not None:
        return asked
    return of_server if of_queue is None else of_queue
