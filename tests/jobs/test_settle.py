"""Which reports count, and what they bring about. The statements are in tests/store."""

import json

import pytest
from google.rpc import code_pb2
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobsvc.api.convert.leases import outcome
from jobsvc.domain.canonical import same_payload
from jobsvc.domain.errors import JobsvcError
from jobsvc.domain.job import JobError, JobState
from jobsvc.domain.lease import LeaseId, LeaseTerms
from jobsvc.domain.outcome import (
    OUTPUT_REJECTED,
    Cancelled,
    Failure,
    Finish,
    Outcome,
    Release,
    Requeue,
    Success,
)
from jobsvc.domain.schema import Schema
from jobsvc.event_loop.time_slice import at_once
from jobsvc.jobs.settle import (
    Report,
    SortedReports,
    check_output,
    decide_end,
    sort_reports,
)
from jobsvc.settings import Settings
from jobsvc.v1 import worker_service_pb2 as pb
from jobsvc.v1.payload_pb2 import Payload
from tests.support.samples import JOB_ID, leased_job

TERMS = leased_job(1).delivery.terms
TO_CANCEL = replace(TERMS, cancel_requested=True)
FAILURE = Failure(JobError(code_pb2.UNAVAILABLE, "BUSY"))
OUTCOMES: list[Outcome] = [Success(), FAILURE, Release(), Cancelled()]
SETTINGS = Settings()
ANY = Schema("{}")
NUMBERS = Schema('{"additionalProperties": {"type": "integer", "multipleOf": 3, "maximum": 99}}')


def lease_id(number: int = 1) -> LeaseId:
    return LeaseId.of(JOB_ID, number)


def sorted_one(
    outcome: Outcome, given: LeaseTerms | None, read: LeaseTerms | None, worker_id: str = ""
) -> SortedReports:
    terms_read = {} if read is None else {lease_id(): read}
    return sort_reports([Report(lease_id(), outcome, given)], terms_read, worker_id)


def test_success_counts_under_the_terms_that_it_brings() -> None:
    assert sorted_one(Success(), TERMS, None) == SortedReports({0: TERMS}, {}, [])
    assert sorted_one(Success(), None, TERMS) == SortedReports({0: TERMS}, {}, [])


@pytest.mark.parametrize("outcome", OUTCOMES[1:])
def test_other_outcomes_count_under_the_terms_that_were_read(outcome: Outcome) -> None:
    assert sorted_one(outcome, TERMS, TO_CANCEL) == SortedReports({0: TO_CANCEL}, {}, [])
    assert sorted_one(outcome, TO_CANCEL, None) == SortedReports({}, {}, [0])


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_lease_of_another_worker_is_lost(outcome: Outcome) -> None:
    assert sorted_one(outcome, TO_CANCEL, TO_CANCEL, "other").lost == [0]
    for worker_id in ("", TO_CANCEL.worker_id):
        assert sorted_one(outcome, TO_CANCEL, TO_CANCEL, worker_id).lost == []


def test_cancellation_that_nobody_asked_for_is_refused() -> None:
    got = sorted_one(Cancelled(), TERMS, TERMS)
    assert (got.current, got.lost) == ({}, [])
    assert got.refused[0].violations[0].field == "cancelled"


reports = st.lists(st.tuples(st.sampled_from(OUTCOMES), st.sampled_from([None, TERMS, TO_CANCEL])))
known = st.dictionaries(st.integers(0, 9), st.sampled_from([TERMS, TO_CANCEL]))


@given(reports, known, st.sampled_from(["", "w", "other"]))
def test_every_report_is_in_one_of_three(
    asked: list[tuple[Outcome, LeaseTerms | None]], read: dict[int, LeaseTerms], worker_id: str
) -> None:
    all_of_them = [Report(lease_id(n), outcome, t) for n, (outcome, t) in enumerate(asked)]
    got = sort_reports(all_of_them, {lease_id(n): t for n, t in read.items()}, worker_id)
    assert sorted([*got.current, *got.refused, *got.lost]) == list(range(len(asked)))
    assert list(got.current) == sorted(got.current)


@pytest.mark.parametrize(
    ("outcome", "verdict", "keep"),
    [
        (Success("{}"), Finish(JobState.COMPLETED, output="{}"), SETTINGS.retention_seconds),
        (
            replace(FAILURE, retryable=False),
            Finish(JobState.FAILED, error=FAILURE.error),
            SETTINGS.failed_retention_seconds,
        ),
        (FAILURE, Requeue(1.0, error=FAILURE.error), SETTINGS.retention_seconds),
        (Release(3.0), Requeue(3.0, attempt_used=False), SETTINGS.retention_seconds),
    ],
)
def test_outcome_decides_verdict_and_retention(
    outcome: Outcome, verdict: Finish | Requeue, keep: float
) -> None:
    decided = decide_end(lease_id(), TERMS, outcome, SETTINGS, spread=0.0)
    assert (decided.terms, decided.cause) == (TERMS, outcome)
    assert (decided.end.id, decided.end.verdict) == (lease_id(), verdict)
    assert (decided.end.retention_seconds, decided.end.until) == (keep, None)


def test_output_that_does_not_fit_fails_the_attempt() -> None:
    schema = Schema('{"required": ["a"]}')
    fits = Success('{"a": 1}')
    assert check_output(fits, schema) is fits
    for misfit in (Success(), Success('{"b": 1}')):
        failure = check_output(misfit, schema)
        assert isinstance(failure, Failure)
        assert (failure.error.code, failure.error.reason) == (code_pb2.INTERNAL, OUTPUT_REJECTED)
        assert '"a" is a required property' in failure.error.message


@given(
    st.text(st.sampled_from('{}[]":,\\u0d8nE+-.19e trufalsn'), max_size=40)
    | st.from_regex(
        r'\\{"a":-?[0-9]{1,400}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?\\}', fullmatch=True
    )
)
def test_output_is_refused_at_the_door_or_can_be_checked_and_compared(text: str) -> None:
    success = pb.JobSuccess(output=Payload(json_text=text))
    try:
        read = outcome(pb.JobOutcome(success=success), 262_144)
    except JobsvcError:
        return
    assert isinstance(read, Success)
    assert isinstance(check_output(read, ANY), Success)
    assert isinstance(check_output(read, NUMBERS), Success | Failure)
    assert at_once(same_payload(read.output, json.dumps(json.loads(text), indent=1)))
