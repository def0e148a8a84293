"""A request for a job, and the job that it asks for. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from jobsvc.domain.errors import JobsvcError
from jobsvc.domain.job import JobOptions
from jobsvc.domain.queue import Queue
from jobsvc.domain.run_policy import RunPolicy


class RequestedOptions(msgspec.Struct, frozen=True):
    """How a job is asked to run; None takes the default of the queue.

    `fail_if_taken` says what to do about a taken unique key: fail, or answer with its holder.
    """

    queue: str
    priority: int
    schedule_time: datetime | None
    expire_time: datetime | None
    ttl_seconds: float | None
    run_policy: RunPolicy
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


def resolve(asked: RequestedOptions, queue: Queue, defaults: RunPolicy) -> JobOptions:
    """How a job will run: the queue, then the server, decide what its request leaves open."""
    return JobOptions(
        queue=asked.queue,
        priority=asked.priority,
        schedule_time=asked.schedule_time,
        expire_time=asked.expire_time,
        ttl_seconds=asked.ttl_seconds,
        run_policy=asked.run_policy.over(queue.policy.run_policy).over(defaults),
        labels=asked.labels,
        output_schema_id=queue.output_schema_id,
    )
