"""The `context` argument of a processor: facts about its job, progress, cancellation."""

import asyncio
import logging
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.rpc import code_pb2

from jobsvc.domain.limits import MAX_NOTE_CHARACTERS
from jobsvc.v1.worker_service_pb2 import JobLease
from jobsvc.worker.duration import to_duration
from jobsvc.worker.outcome import Cancelled, clean
from jobsvc.worker.running_attempt import RunningAttempt


@dataclass(frozen=True, slots=True)
class PreviousError:
    """Error of the previous attempt. `code` is the name of a `google.rpc.Code`."""

    code: str
    reason: str
    message: str


class Context:
    """One attempt, as its processor sees it. Every member may be used from any thread."""

    __slots__ = ("_attempt", "_lease")

    def __init__(self, attempt: RunningAttempt) -> None:
        self._attempt = attempt
        self._lease = attempt.lease

    @classmethod
    def for_test(
        cls,
        queue: str = "test",
        *,
        job_id: str = "00000000-0000-7000-8000-000000000000",
        attempt: int = 1,
        last_attempt: bool = False,
        labels: Mapping[str, str] | None = None,
        attempt_timeout_seconds: float = 900.0,
    ) -> "Context":
        """Returns a context without a real job, for calling a processor in a unit test."""
        lease = JobLease(
            queue=queue,
            job_id=job_id,
            attempt=attempt,
            last_attempt=last_attempt,
            attempt_timeout=to_duration(attempt_timeout_seconds),
            labels=labels or {},
        )
        lease.create_time.GetCurrentTime()
        return cls(RunningAttempt(lease, time.monotonic(), lambda _: None))

    @property
    def job_id(self) -> str:
        """Id of the job; the same in all its attempts, so it serves as an idempotency key."""
        return self._lease.job_id

    @property
    def queue(self) -> str:
        """Queue of the job."""
        return self._lease.queue

    @property
    def attempt(self) -> int:
        """Number of this attempt, from 1."""
        return self._lease.attempt

    @property
    def last_attempt(self) -> bool:
        """Whether a failure of this attempt ends the job."""
        return self._lease.last_attempt

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the job; a copy."""
        return dict(self._lease.labels)

    @property
    def owner_user_id(self) -> str:
        """User on whose behalf the job was created; empty for none."""
        return self._lease.owner.user_id

    @property
    def create_time(self) -> datetime:
        """When the job was created, by the clock of the database; in UTC."""
        return self._lease.create_time.ToDatetime(UTC)

    @property
    def traceparent(self) -> str:
        """W3C trace context of the creation of the job; empty if it was not traced."""
        return self._lease.traceparent

    @property
    def previous_error(self) -> PreviousError | None:
        """Error of the previous attempt; None on a first attempt."""
        if not self._lease.HasField("previous_error"):
            return None
        error = self._lease.previous_error
        return PreviousError(code_pb2.Code.Name(error.code), error.reason, error.message)

    @property
    def deadline(self) -> float:
        """When the attempt times out, as a reading of `time.monotonic()`."""
        return self._attempt.deadline

    @property
    def remaining_seconds(self) -> float:
        """Time until `deadline`, at least 0; for the deadlines of outgoing calls."""
        return max(0.0, self._attempt.deadline - time.monotonic())

    @property
    def logger(self) -> "logging.LoggerAdapter[logging.Logger]":
        """A logger whose lines name the job, with `job_id`, `queue` and `attempt` as extra."""
        return _JobLogger(
            logging.getLogger(f"jobsvc.worker.{self.queue}"),
            {"job_id": self.job_id, "queue": self.queue, "attempt": self.attempt},
        )

    def progress(self, percent: int, message: str = "") -> None:
        """Reports progress to everybody who follows the job. Cheap, and never waits.

        `percent` is 0 to 100; `message` is cut to 500 characters. Progress is sent
        about every 0.2 s at most, and the latest call wins. The last one is also that
        of the status in which the job ends.

        Raises:
            ValueError: `percent` is out of its range.
        """
        whole = int(percent)
        if not 0 <= whole <= 100:
            raise ValueError(f"percent must be 0 to 100, not {percent}")
        self._attempt.set_progress(whole, clean(message, MAX_NOTE_CHARACTERS) if message else "")

    @property
    def last_progress(self) -> tuple[int, str] | None:
        """Arguments of the last call of `progress`; None before the first."""
        return self._attempt.progress

    @property
    def cancelled(self) -> bool:
        """Whether to stop: cancellation was requested, the lease was lost, or the time is up.

        An `async def` processor is cancelled then; a plain `def` one must check this.
        """
        return self._attempt.stop is not None

    def raise_if_cancelled(self) -> None:
        """Does nothing, unless the attempt must stop.

        Raises:
            Cancelled: the attempt must stop. Let the exception pass.
        """
        if self._attempt.stop is not None:
            raise Cancelled(self._attempt.stop.value)

    async def wait_cancelled(self) -> None:
        """Returns once the attempt must stop. Usable on any event loop."""
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stopped.set)

        self._attempt.listen(wake)
        await stopped.wait()


class _JobLogger(logging.LoggerAdapter[logging.Logger]):
    # Any: the signature is that of logging.
    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return f"job {kwargs['extra']['job_id']}: {msg}", kwargs
