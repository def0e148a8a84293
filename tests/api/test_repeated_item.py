"""Copies of a message: as if each had been filled in by itself."""

from google.rpc import code_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.api.convert.leases import outcome_results
from jobsvc.domain.lease import LeaseId
from jobsvc.v1.worker_service_pb2 import OutcomeResult, ReportOutcomesResponse
from tests.support.samples import JOB_ID

_REFUSED = status_pb2.Status(code=code_pb2.NOT_FOUND, message="gone")


@given(
    st.lists(st.tuples(st.integers(0, 10**18), st.booleans()), max_size=20),
    st.integers(0, 20),
)
def test_each_report_is_answered_once(reports: list[tuple[int, bool]], outcomes: int) -> None:
    lease_ids = [LeaseId.of(JOB_ID, number) for number, _ in reports]
    statuses = [None if done else _REFUSED for _, done in reports]
    answers = list(zip(lease_ids, statuses, strict=True))
    assert outcome_results(lease_ids, statuses, outcomes) == ReportOutcomesResponse(
        results=[
            OutcomeResult(lease_id=lease_id, status=status or status_pb2.Status())
            for index, (lease_id, status) in enumerate(answers)
            if status is not None or index < outcomes
        ],
        committed_lease_ids=[lease_id for lease_id, status in answers[outcomes:] if status is None],
    )


def test_results_of_a_thousand_outcomes() -> None:
    lease_ids = [LeaseId.of(JOB_ID, 1000 + number) for number in range(1000)]
    results = outcome_results(lease_ids, [None] * 1000, 1000).results
    assert [result.lease_id for result in results] == lease_ids
    assert all(result.HasField("status") and not result.status.code for result in results)
