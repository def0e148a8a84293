"""Responses that would not fit into a message leave out details, and keep reasons."""

from jobsvc.api.convert.jobs import write_status
from jobsvc.api.convert.leases import outcome_results
from jobsvc.api.status import status_of
from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.job import AttemptRecord, JobError
from jobsvc.v1 import job_pb2
from tests.support.samples import NOW, job

_LARGE = JobError(14, "BROKEN", "m" * 4096, {f"k{n}": "x" * 4096 for n in range(15)}, "s" * 16_384)


def test_old_attempts_are_told_without_their_details() -> None:
    status = job_pb2.JobStatus()
    attempts = [AttemptRecord(n, "w", NOW, NOW, _LARGE) for n in range(10, 0, -1)]
    write_status(status, job(), full=True, attempts=attempts)
    told = status.recent_attempts
    assert [attempt.error.message for attempt in told] == ["m" * 4096] * 10
    assert [bool(attempt.error.stack_trace) for attempt in told] == [True] * 3 + [False] * 7
    assert [len(attempt.error.metadata) for attempt in told] == [15] * 3 + [0] * 7


def test_many_refused_outcomes_are_told_by_their_reasons() -> None:
    refusal = status_of(InvalidRequest([Violation("f" * 200, "d" * 200)] * 9))
    # More than a batch may have by default.
    lease_ids = [f"lease-{n:04}" for n in range(2000)]
    results = outcome_results(lease_ids, [refusal] * 1999 + [None], 2000)
    assert results.ByteSize() < 2.5 * 1024 * 1024
    details = [len(result.status.details) for result in results.results]
    assert (details[0], details[1998], details[1999]) == (2, 1, 0)
    assert {result.status.message for result in results.results[:1999]} == {refusal.message}
    assert all("ErrorInfo" in r.status.details[0].type_url for r in results.results[:1999])
