"""How an attempt can end: what a processor raises to say so, and the outcomes made of it. Pure."""

from collections.abc import Sequence

from google.rpc import code_pb2

from jobsvc.v1.job_pb2 import JobError
from jobsvc.v1.worker_service_pb2 import JobOutcome, ReportOutcomesRequest
from jobsvc.worker.duration import Seconds, to_duration, to_seconds

#: Longest delay that the contract allows, one week.
MAX_DELAY_SECONDS = 604_800.0
#: Longest text of a release or a cancellation, and longest progress message.
MAX_NOTE_CHARACTERS = 500

#: How an attempt ended, on its way to the server. A lease id by itself says that the work is done
#: and has no output: most jobs end so, and a message for each would cost more than their texts.
Outcome = JobOutcome | str


class Ending(Exception):
    """Base of what a processor raises to end its attempt in a particular way."""

    def __init__(self, message: str, *, delay: Seconds | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.delay_seconds = None if delay is None else to_seconds(delay)
        if self.delay_seconds is not None and not 0 <= self.delay_seconds <= MAX_DELAY_SECONDS:
            raise ValueError(f"delay must be 0 to {MAX_DELAY_SECONDS:g} seconds, not {delay}")


class Retry(Ending):
    """The attempt failed; try again while attempts are left.

    `delay` (seconds) overrides the retry policy. `code` is the name or number
    of a `google.rpc.Code`; `reason` a machine-readable cause.
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

    `code` is the name or number of a `google.rpc.Code`; `reason` a
    machine-readable cause.
    """

    def __init__(
        self, message: str = "", *, reason: str = "", code: str | int = "FAILED_PRECONDITION"
    ) -> None:
        super().__init__(message, reason=reason)
        self.code = code_number(code)


class Release(Ending):
    """Hands the job back undone, for another worker; no attempt is used.

    `delay` (seconds) keeps it away from workers for that long.
    """

    def __init__(self, *, delay: Seconds = 0.0, reason: str = "") -> None:
        super().__init__(reason, delay=delay, reason=reason)


class Cancelled(Exception):
    """Raised by `Context.raise_if_cancelled`. Clean up and let it pass."""


def code_number(code: str | int) -> int:
    """The number of a `google.rpc.Code` given by name or number.

    Raises:
        ValueError: there is no such code, or it is OK.
    """
    known = code_pb2.Code.DESCRIPTOR.values_by_number
    number = code_pb2.Code.Value(code) if isinstance(code, str) else code
    if number not in known or number == code_pb2.OK:
        raise ValueError(f"{code!r} is not the code of an error")
    return number


def succeeded(lease_id: str, output: str | None) -> Outcome:
    """The work is done; `output` is JSON text, None for the empty object."""
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
    """The attempt failed; `retryable` None leaves the decision to the code of the error."""
    outcome = JobOutcome(lease_id=lease_id)
    outcome.failure.error.CopyFrom(error)
    if retryable is not None:
        outcome.failure.retryable = retryable
    if delay_seconds is not None:
        outcome.failure.retry_delay.CopyFrom(to_duration(delay_seconds))
    return outcome


def released(lease_id: str, delay_seconds: float, reason: str) -> JobOutcome:
    """The job goes back undone."""
    outcome = JobOutcome(lease_id=lease_id)
    outcome.release.reason = clean(reason, MAX_NOTE_CHARACTERS)
    if delay_seconds:
        outcome.release.delay.CopyFrom(to_duration(delay_seconds))
    return outcome


def cancelled(lease_id: str, message: str = "") -> JobOutcome:
    """The processor stopped because cancellation was requested."""
    outcome = JobOutcome(lease_id=lease_id)
    outcome.cancelled.message = clean(message, MAX_NOTE_CHARACTERS)
    return outcome


def report(outcomes: Sequence[Outcome], takes_ids: bool) -> ReportOutcomesRequest:
    """A frame with these outcomes. `takes_ids` says that the server knows `succeeded_lease_ids`."""
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
    """`text` as the contract takes it: no NUL, no lone surrogate, not too long."""
    whole = text.replace("\0", "").encode("utf-8", "ignore").decode()
    return whole[:max_characters]
