"""Copies of a message: as if each had been filled in by itself."""

from google.rpc import code_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.api.convert.leases import outcome_results
from jobsvc.lease import LeaseId
from jobsvc.v1.worker_service_pb2 import OutcomeResult, ReportOutcomesResponse

from .samples import JOB_ID

_REFUSED = status_pb2.Status(code=code_pb2.NOT_FOUND, message="gone")


@given(st.lists(st.tuples(st.integers(0, 10**18), st.booleans()), max_size=20))
def test_results_are_those_of_each_outcome(outcomes: list[tuple[int, bool]]) -> None:
    lease_ids = [LeaseId.of(JOB_ID, number) for number, _ in outcomes]
    statuses = [None if done else _REFUSED for _, done in outcomes]
    assert outcome_results(lease_ids, statuses) == ReportOutcomesResponse(
        results=[
            OutcomeResult(lease_id=lease_id, status=status or status_pb2.Status())
            for lease_id, status in zip(lease_ids, statuses, strict=True)
        ]
    )


def test_results_of_a_thousand_outcomes() -> None:
    lease_ids = [LeaseId.of(JOB_ID, 1000 + number) for number in range(1000)]
    results = outcome_results(lease_ids, [None] * 1000).results
    assert [result.lease_id for result in results] == lease_ids
    assert all(result.HasField("status") and not result.status.code for result in results)
