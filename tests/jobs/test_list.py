"""How far a count goes."""

import pytest

from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.jobs.list import JobCount, JobLister
from jobsvc.store.job_lists import JobListStore
from jobsvc.store.store import Store
from tests.store.support.samples import create


@pytest.mark.parametrize(
    ("others", "count"), [(38, JobCount(1, is_estimate=False)), (40, JobCount(0, is_estimate=True))]
)
async def test_count_looks_at_a_limited_number_of_jobs(
    store: Store, others: int, count: JobCount
) -> None:
    """Twenty walks of two jobs; what it says beyond is called an estimate."""
    await create(store, queue="rare")
    for _ in range(others):
        await create(store)
    store.job_lists = JobListStore(store.database, 2)
    found = await JobLister(store).count(JobFilter(frozenset({"rare"})), Owner())
    assert found.is_estimate is count.is_estimate
    # The sample of so small a table is the whole of it.
    assert found.jobs == 1
