"""A request for a job, and the job that it asks for. Pure."""

from datetime import datetime
from typing import Any, TypeVar

import msgspec

from jobsvc.job import NewJob, Owner, new_job_id
from jobsvc.queue import Queue
from jobsvc.retry import RetryPolicy
from jobsvc.settings import Settings

T = TypeVar("T")


class JobRequest(msgspec.Struct, frozen=True):
    """A request for a job, checked on its own; None takes the default of the queue.

    `payload` is the object that `input` spells. `fail_if_taken` says what to do
    about a taken `unique_key`: fail, or answer with its holder.
    """

    queue: str
    input: str | None
    payload: dict[str, Any]
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
    unique_key: str | None
    fail_if_taken: bool
    labels: dict[str, str]
    request_id: str | None
    request_digest: bytes | None
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


def resolve(request: JobRequest, queue: Queue, settings: Settings, owner: Owner) -> NewJob:
    """The job that a request asks for: what it leaves open is up to the queue, then the server."""
    policy = queue.policy
    return NewJob(
        id=new_job_id(),
        queue=request.queue,
        owner=owner,
        input=request.input,
        priority=request.priority,
        schedule_time=request.schedule_time,
        expire_time=request.expire_time,
        ttl_seconds=request.ttl_seconds,
        attempt_timeout_seconds=_first(
            request.attempt_timeout_seconds,
            policy.attempt_timeout_seconds,
            settings.attempt_timeout_seconds,
        ),
        retry=RetryPolicy(
            _first(request.max_attempts, policy.max_attempts, settings.max_attempts),
            _first(
                request.initial_backoff_seconds,
                policy.initial_backoff_seconds,
                settings.initial_backoff_seconds,
            ),
            _first(
                request.max_backoff_seconds,
                policy.max_backoff_seconds,
                settings.max_backoff_seconds,
            ),
            _first(
                request.backoff_multiplier,
                policy.backoff_multiplier,
                settings.backoff_multiplier,
            ),
        ),
        retention_seconds=(
            policy.retention_seconds
            if request.retention_seconds is None
            else request.retention_seconds
        ),
        unique_key=request.unique_key,
        labels=request.labels,
        output_schema_id=queue.output_schema_id,
        traceparent="",
        tracestate="",
        request_id=request.request_id,
        request_digest=request.request_digest,
    )


def _first(asked: T | None, of_queue: T | None, of_server: T) -> T:
    if asked is not None:
        return asked
    return of_server if of_queue is None else of_queue
