"""The decision about a job whose attempt has ended."""

import pytest
from google.rpc import code_pb2
from hypothesis import assume, given
from hypothesis import strategies as st

from jobsvc.domain.job import JobError, JobState
from jobsvc.domain.lapse import Lapse
from jobsvc.domain.lease import LeaseTerms
from jobsvc.domain.outcome import (
    JOB_EXPIRED,
    Cancelled,
    Ending,
    Failure,
    Finish,
    Release,
    Requeue,
    Success,
    decide,
)
from jobsvc.domain.retry import PERMANENT_CODES, retry_delay_seconds
from tests.domain.support.endings import CODES, ENDINGS, FAILURES, RELEASES, SECONDS, SPREADS, TERMS
from tests.support.samples import RETRY, terms


@given(TERMS, st.none() | st.text(), SPREADS, st.booleans())
def test_success_always_completes(
    terms: LeaseTerms, output: str | None, spread: float, expired: bool
) -> None:
    assert decide(terms, Success(output), spread, expired) == Finish(
        JobState.COMPLETED, output=output
    )


@given(TERMS, ENDINGS, SPREADS, st.booleans())
def test_cancel_request_never_requeues(
    terms: LeaseTerms, ending: Ending, spread: float, expired: bool
) -> None:
    assume(terms.cancel_requested and not isinstance(ending, Success))
    verdict = decide(terms, ending, spread, expired)
    assert isinstance(verdict, Finish)
    assert verdict.state is JobState.CANCELLED
    assert verdict.error == (ending.error if isinstance(ending, Failure) else None)


@given(TERMS, ENDINGS, SPREADS, st.booleans())
def test_attempts_never_exceed_the_maximum(
    terms: LeaseTerms, ending: Ending, spread: float, expired: bool
) -> None:
    verdict = decide(terms, ending, spread, expired)
    if isinstance(verdict, Requeue):
        used = terms.attempt if verdict.attempt_used else terms.attempt - 1
        assert used + 1 <= terms.retry.max_attempts


@given(TERMS, ENDINGS, SPREADS, st.booleans())
def test_job_ends_once_or_waits_with_a_delay(
    terms: LeaseTerms, ending: Ending, spread: float, expired: bool
) -> None:
    match decide(terms, ending, spread, expired):
        case Finish(state, output, error):
            assert state.ended
            assert output is None or state is JobState.COMPLETED
            assert (error is not None) >= (state is JobState.FAILED)
        case Requeue(delay, error, used):
            assert delay >= 0
            assert (error is not None) == used


@given(TERMS, RELEASES, SPREADS, st.booleans())
def test_release_uses_no_attempt(
    terms: LeaseTerms, release: Release, spread: float, expired: bool
) -> None:
    assume(not terms.cancel_requested)
    verdict = decide(terms, release, spread, expired)
    assert verdict == Requeue(release.delay_seconds, attempt_used=False)


@given(TERMS, FAILURES | st.sampled_from([Lapse.LEASE_EXPIRED, Lapse.ATTEMPT_TIMEOUT]), SPREADS)
def test_expired_job_fails_instead_of_waiting(
    terms: LeaseTerms, ending: Ending, spread: float
) -> None:
    assume(not terms.cancel_requested)
    assert decide(terms, ending, spread, expired=True) == Finish(JobState.FAILED, error=JOB_EXPIRED)


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
