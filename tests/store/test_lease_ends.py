"""The plan of a batch of ends: which one counts, and which statement writes it."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.job_id import new_job_ids
from jobsvc.domain.lease import Extension, LeaseId
from jobsvc.domain.lease_end import End
from jobsvc.domain.outcome import Finish, Requeue
from jobsvc.store.lease_ends import counting_ends, plan_ends
from jobsvc.store.leases import latest_extensions
from tests.store.support.samples import COMPLETED, FAILED, RELEASE, RETRY, end
from tests.support.samples import JOB_ID, NOW

LEASE = LeaseId.of(JOB_ID, 1)
REPORTED, ALSO_REPORTED = end(LEASE, COMPLETED), end(LEASE, RETRY)
LAPSED = end(LEASE, RETRY, until=NOW)
LAPSED_LATER = end(LEASE, FAILED, until=NOW + timedelta(seconds=1))

JOB_IDS = sorted(new_job_ids(3))
ENDS = st.lists(
    st.builds(
        end,
        st.builds(LeaseId.of, st.sampled_from(JOB_IDS), st.integers(0, 2)),
        st.sampled_from([COMPLETED, FAILED, RETRY, RELEASE]),
        until=st.sampled_from([None, NOW]),
    )
)


@pytest.mark.parametrize(
    ("ends", "counting"),
    [
        ([REPORTED], REPORTED),
        ([LAPSED], LAPSED),
        ([REPORTED, ALSO_REPORTED], REPORTED),
        ([LAPSED, LAPSED_LATER], LAPSED),
        ([REPORTED, LAPSED], REPORTED),
        ([LAPSED, REPORTED], REPORTED),
        ([LAPSED, LAPSED_LATER, REPORTED, ALSO_REPORTED], REPORTED),
    ],
)
def test_first_end_of_a_lease_counts_but_one_with_until_gives_way(
    ends: list[End], counting: End
) -> None:
    assert counting_ends(ends) == {LEASE: counting}


@given(ENDS)
def test_every_lease_has_exactly_one_counting_end(ends: list[End]) -> None:
    counting = counting_ends(ends)
    assert set(counting) == {e.id for e in ends}
    for lease_id, chosen in counting.items():
        own = [e for e in ends if e.id == lease_id]
        unconditional = [e for e in own if e.until is None]
        assert chosen is (unconditional or own)[0]


@given(ENDS)
def test_plan_writes_each_counting_end_once_by_its_kind(ends: list[End]) -> None:
    plan = plan_ends(ends)
    finishes = [e for part in plan.finishes for e in part]
    requeues = [e for part in plan.requeues for e in part]
    assert all(isinstance(e.verdict, Finish) for e in finishes)
    assert all(isinstance(e.verdict, Requeue) for e in requeues)
    assert sorted(map(id, finishes + requeues)) == sorted(map(id, plan.counting.values()))


@given(ENDS)
def test_statement_names_each_job_once_in_order(ends: list[End]) -> None:
    plan = plan_ends(ends)
    for part in plan.finishes + plan.requeues:
        job_ids = [e.id.job_id for e in part]
        assert job_ids == sorted(set(job_ids))


def test_last_extension_of_each_worker_counts_with_its_last_progress() -> None:
    own = [
        Extension(LEASE, 50.0, 10, "first", "w"),
        Extension(LEASE, 60.0, 20, "second", "w"),
        Extension(LEASE, 70.0, None, "", "w"),
    ]
    foreign = Extension(LEASE, 99.0, None, "", "v")
    other = Extension(LeaseId.of(JOB_ID, 2))
    extensions = [own[0], foreign, own[1], other, own[2]]
    assert latest_extensions(extensions) == [
        Extension(LEASE, 70.0, 20, "second", "w"),
        foreign,
        other,
    ]
