"""Parts of a batch: each names every job once, in the order in which its rows are locked."""

from hypothesis import given
from hypothesis import strategies as st

from jobsvc.domain.job_id import new_job_ids
from jobsvc.domain.lease import Extension, LeaseId
from jobsvc.store.lock_order import in_lock_order

JOB_IDS = sorted(new_job_ids(4))
ITEMS = st.lists(
    st.builds(Extension, st.builds(LeaseId.of, st.sampled_from(JOB_IDS), st.integers(0, 3)))
)


@given(ITEMS)
def test_parts_have_every_item_and_each_job_once_in_order(items: list[Extension]) -> None:
    parts = in_lock_order(items)
    assert sorted(id(item) for part in parts for item in part) == sorted(map(id, items))
    for part in parts:
        job_ids = [item.id.job_id for item in part]
        assert job_ids == sorted(set(job_ids))


@given(ITEMS)
def test_there_are_as_many_parts_as_leases_of_one_job(items: list[Extension]) -> None:
    of_jobs = [item.id.job_id for item in items]
    assert len(in_lock_order(items)) == max(map(of_jobs.count, of_jobs), default=0)


@given(ITEMS)
def test_leases_of_one_job_keep_their_order(items: list[Extension]) -> None:
    parts = in_lock_order(items)
    for job_id in JOB_IDS:
        own = [item.id for part in parts for item in part if item.id.job_id == job_id]
        assert own == [item.id for item in items if item.id.job_id == job_id]


def test_thousands_of_leases_of_one_job_make_as_many_parts() -> None:
    items = [Extension(LeaseId.of(JOB_IDS[0], number)) for number in range(2000)]
    assert in_lock_order(items) == [[item] for item in items]
