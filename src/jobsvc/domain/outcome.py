"""How attempts end, and the one pure decision about the job then."""

import msgspec
from google.rpc import code_pb2

from jobsvc.domain.job import JobError, JobState
from jobsvc.domain.lapse import Lapse
from jobsvc.domain.lease import LeaseTerms
from jobsvc.domain.retry import PERMANENT_CODES, retry_delay_seconds

#: Times that a job goes back without using an attempt because it did not reach its worker.
MAX_REDELIVERIES = 10


class Success(msgspec.Struct, frozen=True):
    """The work is done; `output` is JSON text, None for the empty object."""

    output: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """The work failed. `retryable` and `retry_delay_seconds` override code and policy."""

    error: JobError
    retryable: bool | None = None
    retry_delay_seconds: float | None = None


class Release(msgspec.Struct, frozen=True):
    """The worker hands the job back without a result; no attempt is used."""

    delay_seconds: float = 0.0
    reason: str = ""


class Cancelled(msgspec.Struct, frozen=True):
    """The worker stopped because cancellation was requested."""

    message: str = ""


Outcome = Success | Failure | Release | Cancelled
Ending = Outcome | Lapse


class Finish(msgspec.Struct, frozen=True):
    """The job ends in `state`."""

    state: JobState
    output: str | None = None
    error: JobError | None = None


class Requeue(msgspec.Struct, frozen=True):
    """The job waits again, for `delay_seconds` at least.

    `attempt_used` says whether the attempt counts and enters the history.
    """

    delay_seconds: float
    error: JobError | None = None
    attempt_used: bool = True


Verdict = Finish | Requeue

#: Reason of the failure of an attempt whose output did not fit the schema of its queue.
OUTPUT_REJECTED = "OUTPUT_REJECTED"
#: Error of a job whose outcome the database cannot store. The same again would be refused again.
OUTCOME_REJECTED = JobError(
    code_pb2.INTERNAL,
    "OUTCOME_REJECTED",
    "the database cannot store the outcome that the worker reported; the server's log says why",
)
#: Error of a job whose expire_time has passed.
JOB_EXPIRED = JobError(
    code_pb2.DEADLINE_EXCEEDED, "JOB_EXPIRED", "the job's expire_time has passed"
)
#: Error of a job whose first attempt has not begun within start_within.
START_DEADLINE = JobError(
    code_pb2.DEADLINE_EXCEEDED, "START_DEADLINE", "the first attempt has not begun in start_within"
)
_LAPSED = {
    Lapse.LEASE_EXPIRED: JobError(
        code_pb2.UNAVAILABLE, "LEASE_EXPIRED", "the worker stopped extending its lease"
    ),
    Lapse.ATTEMPT_TIMEOUT: JobError(
        code_pb2.DEADLINE_EXCEEDED, "ATTEMPT_TIMEOUT", "the attempt ran longer than attempt_timeout"
    ),
    # Decides nothing: the job is cancelled.
    Lapse.CANCEL_GRACE: JobError(code_pb2.CANCELLED, "CANCEL_GRACE", "the worker did not stop"),
}


def decide(terms: LeaseTerms, ending: Ending, spread: float, expired: bool = False) -> Verdict:
    """Returns the verdict on a leased job whose attempt ended by `ending`.

    `spread` (-1 to 1) is the random part of the retry delay; `expired`: the job's
    expire_time has passed. The first rule that fits decides: a success completes
    the job; a requested cancellation ends it; a release sends it back without
    using the attempt; an expired job fails; a failed one is retried while its
    code, or the override of the worker, and `max_attempts` allow it.
    """
    if isinstance(ending, Success):
        return Finish(JobState.COMPLETED, output=ending.output)
    if terms.cancel_requested or isinstance(ending, Cancelled):
        error = ending.error if isinstance(ending, Failure) else None
        return Finish(JobState.CANCELLED, error=error)
    if isinstance(ending, Release):
        return Requeue(ending.delay_seconds, attempt_used=False)
    if expired:
        return Finish(JobState.FAILED, error=JOB_EXPIRED)

    failure = ending if isinstance(ending, Failure) else Failure(_LAPSED[ending])
    retryable = failure.retryable
    if retryable is None:
        retryable = failure.error.code not in PERMANENT_CODES
    if not retryable or terms.attempt >= terms.retry.max_attempts:
        return Finish(JobState.FAILED, error=failure.error)
    delay = failure.retry_delay_seconds
    if delay is None:
        delay = retry_delay_seconds(terms.retry, terms.attempt, spread)
    return Requeue(delay, error=failure.error)
