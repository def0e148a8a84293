"""How far a count goes, and what is read in one go."""

import asyncpg
import pytest

from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.jobs.list import JobCount, JobLister, read_together
from jobsvc.store.job_lists import FoundJob, JobListStore
from jobsvc.store.store import Store
from tests.store.support.many_jobs import fill_jobs
from tests.store.support.samples import create


@pytest.mark.parametrize(("others", "is_estimate"), [(38, False), (40, True)])
async def test_count_looks_at_a_limited_number_of_jobs(
    store: Store, others: int, is_estimate: bool
) -> None:
    """Twenty walks of two jobs; what it says beyond is called an estimate."""
    await create(store, queue="rare")
    for _ in range(others):
        await create(store)
    store.job_lists = JobListStore(store.database, 2)
    found = await JobLister(store).count(JobFilter(frozenset({"rare"})), Owner())
    # The sample of so small a table is the whole of it.
    assert found == JobCount(1, is_estimate)


async def test_estimate_is_not_below_what_was_counted(
    store: Store, sql: asyncpg.Connection
) -> None:
    """The one job of a queue, which is not in the sample."""
    await fill_jobs(sql, queues=20_000)
    newest = await sql.fetch("SELECT queue FROM job ORDER BY id DESC LIMIT 100")
    for row in newest:
        wanted = JobFilter(frozenset({row["queue"]}))
        if not await store.job_lists.estimate(wanted, Owner()):
            break
    else:
        pytest.fail("all of them are in the sample")
    store.job_lists = JobListStore(store.database, 100)
    assert await JobLister(store).count(wanted, Owner()) == JobCount(1, is_estimate=True)


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([], []),
        ([0, 0, 0, 0], ["abc", "d"]),
        ([5, 5, 1], ["ab", "c"]),
        ([11, 1], ["a", "b"]),
        ([1, 11], ["a", "b"]),
    ],
)
def test_few_jobs_or_few_bytes_are_read_together(sizes: list[int], parts: list[str]) -> None:
    found = [FoundJob(name, size) for name, size in zip("abcd", sizes, strict=False)]
    assert ["".join(part) for part in read_together(found, 3, 10)] == parts
