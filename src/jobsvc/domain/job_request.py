"""A request for a job, and the job that it asks for. Pure."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from jobsvc.domain.errors import InvalidRequest, JobsvcError, Violation
from jobsvc.domain.job import JobOptions
from jobsvc.domain.queue import Queue
from jobsvc.domain.run_policy import RunPolicy


class RequestedOptions(msgspec.Struct, frozen=True):
    """How a job is asked to run, before the defaults of queue and server.

    `fail_if_taken`: a taken unique key fails the request; otherwise its holder is returned.
    """

    queue: str
    priority: int
    schedule_time: datetime | None
    expire_time: datetime | None
    ttl_seconds: float | None
    run_policy: RunPolicy
    fail_if_taken: bool
    labels: dict[str, str]
    schedule_delay_seconds: float | None = None


class JobRequest(msgspec.Struct, frozen=True):
    """A request for a job, checked on its own. `payload` is `input`, decoded, until that has been
    checked against its schema."""

    options: RequestedOptions
    input: str | None
    payload: dict[str, Any]
    unique_key: str | None = None
    request_id: str | None = None
    request_digest: bytes | None = None
    #: Index among the items of a batch; None for a single request.
    batch_index: int | None = None

    @property
    def input_path(self) -> str:
        """Path of the input in the call, for violations."""
        return self._path("spec.input")

    @property
    def cannot_begin(self) -> InvalidRequest:
        """The refusal of a job that would expire before it may first run."""
        field = "ttl" if self.options.expire_time is None else "expire_time"
        described = "the job would expire before it may first run, by the clock of the database"
        violation = Violation(self._path(f"spec.{field}"), described)
        return InvalidRequest([violation], **self.error_metadata)

    def _path(self, field: str) -> str:
        return field if self.batch_index is None else f"requests[{self.batch_index}].{field}"

    @property
    def error_metadata(self) -> dict[str, str]:
        """Metadata that tell the caller which request of the call an error is about."""
        return {} if self.batch_index is None else {"index": str(self.batch_index)}

    @contextmanager
    def marking_errors(self) -> Iterator[None]:
        """Adds `error_metadata` to an error of the block."""
        try:
            yield
        except JobsvcError as error:
            error.metadata.update(self.error_metadata)
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
        schedule_delay_seconds=asked.schedule_delay_seconds,
    )
