"""How an attempt ends: the exceptions by which a processor says so, and the outcomes. Pure."""

from collections.abc import Sequence

from google.rpc import code_pb2

from jobsvc.domain.limits import MAX_DELAY_SECONDS, MAX_NOTE_CHARACTERS
from jobsvc.v1.job_pb2 import JobError, JobProgress
from jobsvc.v1.worker_service_pb2 import JobOutcome, ReportOutcomesRequest
from jobsvc.worker.duration import Seconds, to_duration, to_seconds

#: How an attempt ended, for the server. A lease id alone means success without output: most jobs
#: end so, and a message for each would cost more than the rest of the report.
Outcome = JobOutcome | str


class Ending(Exception):
    """Base of the exceptions by which a processor ends its attempt in a particular way."""

    def __init__(self, message: str, *, delay: Seconds | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.delay_seconds = None if delay is None else to_seconds(delay)
        if self.delay_seconds is not None and not 0 <= self.delay_seconds <= MAX_DELAY_SECONDS:
            raise ValueError(f"delay must be 0 to {MAX_DELAY_SECONDS:g} seconds, not {delay}")


class Retry(Ending):
    """The attempt failed; it is tried again while attempts are left.

    `delay` (seconds or timedelta, up to a week) overrides the retry policy.
    `code` is the name or number of a `google.rpc.Code`; `reason` is a cause for
    programs, written as UPPER_SNAKE.

    Raises:
        ValueError: there is no such code, or `delay` is out of its range.
    """

    def __init__(
        self,
        message: str = "",
        *,
        delay: Seconds | None = None,
        reason: str = "",
        code: str | int = "UNAVAILABLE",
    ) -> None:
        super().__init__(message, delay=delay, reason=reason)
        self.code = code_number(code)


class Fail(Ending):
    """The job failed for good; it is not tried again.

    `code` is the name or number of a `google.rpc.Code`; `reason` is a cause for
    programs, written as UPPER_SNAKE.

    Raises:
        ValueError: there is no such code.
    """

    def __init__(
        self, message: str = "", *, reason: str = "", code: str | int = "FAILED_PRECONDITION"
    ) -> None:
        super().__init__(message, reason=reason)
        self.code = code_number(code)


class Release(Ending):
    """Gives the job back undone, for any worker; no attempt is used.

    `delay` (seconds or timedelta, up to a week) keeps the job away from workers
    for that long.

    Raises:
        ValueError: `delay` is out of its range.
    """

    def __init__(self, *, delay: Seconds = 0.0, reason: str = "") -> None:
        super().__init__(reason, delay=delay, reason=reason)


class Cancelled(Exception):
    """Raised by `Context.raise_if_cancelled`. Clean up, and let the exception pass."""


def code_number(code: str | int) -> int:
    """Returns the number of a `google.rpc.Code` given by name or number.

    Raises:
        ValueError: there is no such code, or the code is OK.
    """
    known = code_pb2.Code.DESCRIPTOR.values_by_number
    number = code_pb2.Code.Value(code) if isinstance(code, str) else code
    if number not in known or number == code_pb2.OK:
        raise ValueError(f"{code!r} is not the code of an error")
    return number


def succeeded(lease_id: str, output: str | None) -> Outcome:
    """Success; `output` is JSON text, None for the empty object."""
    if output is None:
        return lease_id
    outcome = JobOutcome(lease_id=lease_id)
    outcome.success.output.json_text = output
    return outcome


def failed(
    lease_id: str,
    error: JobError,
    retryable: bool | None = None,
    delay_seconds: float | None = None,
) -> JobOutcome:
    """Failure; `retryable` None lets the code of the error decide."""
    outcome = JobOutcome(lease_id=lease_id)
    outcome.failure.error.CopyFrom(error)
    if retryable is not None:
        outcome.failure.retryable = retryable
    if delay_seconds is not None:
        outcome.failure.retry_delay.CopyFrom(to_duration(delay_seconds))
    return outcome


def released(lease_id: str, delay_seconds: float, reason: str) -> JobOutcome:
    """Release: the job goes back undone."""
    outcome = JobOutcome(lease_id=lease_id)
    outcome.release.reason = clean(reason, MAX_NOTE_CHARACTERS)
    if delay_seconds:
        outcome.release.delay.CopyFrom(to_duration(delay_seconds))
    return outcome


def cancelled(lease_id: str, message: str = "") -> JobOutcome:
    """Cancelled: the processor stopped because cancellation was requested."""
    outcome = JobOutcome(lease_id=lease_id)
    outcome.cancelled.message = clean(message, MAX_NOTE_CHARACTERS)
    return outcome


def with_progress(outcome: Outcome, percent: int, message: str) -> JobOutcome:
    """Returns the outcome as a message that carries the last progress of its attempt."""
    if isinstance(outcome, str):
        outcome = JobOutcome(lease_id=outcome)
        outcome.success.SetInParent()
    outcome.progress.CopyFrom(JobProgress(percent=percent, message=message))
    return outcome


def report(outcomes: Sequence[Outcome], takes_ids: bool) -> ReportOutcomesRequest:
    """Returns a frame with these outcomes. `takes_ids`: the server knows `succeeded_lease_ids`."""
    request = ReportOutcomesRequest()
    ids = [outcome for outcome in outcomes if isinstance(outcome, str)]
    if takes_ids:
        request.succeeded_lease_ids.extend(ids)
    else:
        for lease_id in ids:
            request.outcomes.add(lease_id=lease_id).success.SetInParent()
    if len(ids) < len(outcomes):
        request.outcomes.extend([item for item in outcomes if not isinstance(item, str)])
    return request


def clean(text: str, max_characters: int) -> str:
    """Returns `text` as the contract takes it: no NUL, no lone surrogate, not too long."""
    whole = text.replace("\0", "").encode("utf-8", "ignore").decode()
    return whole[:max_characters]
