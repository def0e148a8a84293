"""What becomes of a job when an attempt ends."""

from datetime import timedelta

import pytest
from google.rpc import code_pb2
from hypothesis import assume, given
from hypothesis import strategies as st

from jobsvc.domain.job import JobError, JobState
from jobsvc.domain.outcome import (
    JOB_EXPIRED,
    Cancelled,
    Ending,
    Failure,
    Finish,
    Lapse,
    Release,
    Requeue,
    Success,
    Terms,
    decide,
    lapse,
)
from jobsvc.domain.retry import PERMANENT_CODES, retry_delay_seconds
from tests.domain.support.outcomes import (
    CODES,
    ENDINGS,
    FAILURES,
    RELEASES,
    SECONDS,
    SPREADS,
    TERMS,
)
from tests.support.samples import NOW, RETRY, SECOND, terms


@given(TERMS, st.none() | st.text(), SPREADS, st.booleans())
def test_success_always_completes(
    held: Terms, output: str | None, spread: float, expired: bool
) -> None:
    assert decide(held, Success(output), spread, expired) == Finish(
        JobState.COMPLETED, output=output
    )


@given(TERMS, ENDINGS, SPREADS, st.booleans())
def test_cancel_request_never_requeues(
    held: Terms, ending: Ending, spread: float, expired: bool
) -> None:
    assume(held.cancel_requested and not isinstance(ending, Success))
    verdict = decide(held, ending, spread, expired)
    assert isinstance(verdict, Finish)
    assert verdict.state is JobState.CANCELLED
    assert verdict.error == (ending.error if isinstance(ending, Failure) else None)


@given(TERMS, ENDINGS, SPREADS, st.booleans())
def test_attempts_never_exceed_the_most(
    held: Terms, ending: Ending, spread: float, expired: bool
) -> None:
    verdict = decide(held, ending, spread, expired)
    if isinstance(verdict, Requeue):
        used = held.attempt if verdict.attempt_used else held.attempt - 1
        assert used + 1 <= held.retry.max_attempts


@given(TERMS, ENDINGS, SPREADS, st.booleans())
def test_job_ends_once_or_waits_with_a_delay(
    held: Terms, ending: Ending, spread: float, expired: bool
) -> None:
    match decide(held, ending, spread, expired):
        case Finish(state, output, error):
            assert state.ended
            assert output is None or state is JobState.COMPLETED
            assert (error is not None) >= (state is JobState.FAILED)
        case Requeue(delay, error, used):
            assert delay >= 0
            assert (error is not None) == used


@given(TERMS, RELEASES, SPREADS, st.booleans())
def test_release_uses_no_attempt(
    held: Terms, release: Release, spread: float, expired: bool
) -> None:
    assume(not held.cancel_requested)
    verdict = decide(held, release, spread, expired)
    assert verdict == Requeue(release.delay_seconds, attempt_used=False)


@given(TERMS, FAILURES | st.sampled_from([Lapse.LEASE_EXPIRED, Lapse.ATTEMPT_TIMEOUT]), SPREADS)
def test_expired_job_fails_instead_of_waiting(held: Terms, ending: Ending, spread: float) -> None:
    assume(not held.cancel_requested)
    assert decide(held, ending, spread, expired=True) == Finish(JobState.FAILED, error=JOB_EXPIRED)


@pytest.mark.parametrize("code", code_pb2.Code.keys())
def test_code_decides_about_the_retry(code: str) -> None:
    permanent = {
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "UNAUTHENTICATED",
        "FAILED_PRECONDITION",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "DATA_LOSS",
    }
    error = JobError(code_pb2.Code.Value(code))
    verdict = decide(terms(), Failure(error), 0)
    assert isinstance(verdict, Finish if code in permanent else Requeue)
    assert verdict.error == error


@given(st.sampled_from(sorted(PERMANENT_CODES)))
def test_override_retries_a_permanent_code(code: int) -> None:
    assert isinstance(decide(terms(), Failure(JobError(code), retryable=True), 0), Requeue)


@given(CODES)
def test_override_ends_a_passing_code(code: int) -> None:
    verdict = decide(terms(), Failure(JobError(code), retryable=False), 0)
    assert verdict == Finish(JobState.FAILED, error=JobError(code))


@given(FAILURES)
def test_no_override_exceeds_the_attempts(failure: Failure) -> None:
    verdict = decide(terms(attempt=3), failure, 0)
    assert verdict == Finish(JobState.FAILED, error=failure.error)


@given(SECONDS, SPREADS)
def test_delay_of_the_worker_counts_as_it_is(delay: float, spread: float) -> None:
    failure = Failure(JobError(code_pb2.UNAVAILABLE), retry_delay_seconds=delay)
    verdict = decide(terms(), failure, spread)
    assert isinstance(verdict, Requeue)
    assert verdict.delay_seconds == delay


@given(st.integers(1, 2), SPREADS)
def test_delay_of_the_policy_follows_the_attempt(attempt: int, spread: float) -> None:
    verdict = decide(terms(attempt=attempt), Lapse.LEASE_EXPIRED, spread)
    assert isinstance(verdict, Requeue)
    assert verdict.delay_seconds == retry_delay_seconds(RETRY, attempt, spread)


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (Lapse.LEASE_EXPIRED, "LEASE_EXPIRED"),
        (Lapse.ATTEMPT_TIMEOUT, "ATTEMPT_TIMEOUT"),
    ],
)
def test_lapse_on_the_last_attempt_fails_with_its_reason(cause: Lapse, reason: str) -> None:
    verdict = decide(terms(attempt=3), cause, 0)
    assert isinstance(verdict, Finish)
    assert verdict.state is JobState.FAILED
    assert verdict.error is not None
    assert verdict.error.reason == reason


def test_cancelled_worker_ends_the_job() -> None:
    assert decide(terms(), Cancelled(), 0) == Finish(JobState.CANCELLED)


def test_lease_lapses_at_its_very_end() -> None:
    later = NOW + timedelta(hours=1)
    assert lapse(NOW + SECOND, later, NOW) is None
    assert lapse(NOW, later, NOW) is Lapse.LEASE_EXPIRED
    assert lapse(later, NOW, NOW) is Lapse.ATTEMPT_TIMEOUT


def test_running_out_of_time_comes_before_silence() -> None:
    assert lapse(NOW - SECOND, NOW, NOW) is Lapse.ATTEMPT_TIMEOUT
