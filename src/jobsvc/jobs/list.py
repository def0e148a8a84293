"""Jobs by a filter, on behalf of a caller: in pages, and counted."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from jobsvc.domain.job import Job
from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.store.job_lists import FoundJob, Walk
from jobsvc.store.store import Store

#: So many jobs are counted; more are estimated.
MAX_COUNTED = 1000
#: Statements of one count: they look at so many times the jobs of one page.
_MAX_WALKS = 20


class JobCount(NamedTuple):
    """How many jobs match."""

    jobs: int
    is_estimate: bool


class JobLister:
    """Lists and counts the jobs that a caller may see."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(
        self,
        wanted: JobFilter,
        caller: Owner,
        before: str | None,
        most: int,
        measures_payloads: bool,
    ) -> Walk:
        """Returns the ids of matching jobs, newest first: at most `most`, and fewer if few of the
        jobs that were looked at match. None of them has the id `before` or a newer one."""
        return await self._store.job_lists.walk(wanted, caller, before, most, measures_payloads)

    async def read(
        self, job_ids: Sequence[str], wanted: JobFilter, caller: Owner, with_payloads: bool
    ) -> list[Job]:
        """Returns jobs as they are now, in the same order, without those that do not match any
        more."""
        jobs = await self._store.shared_reads.read(job_ids, with_payloads, with_payloads)
        found = (jobs[job_id] for job_id in job_ids if job_id in jobs)
        return [job for job in found if wanted.matches(job, caller)]

    async def count(self, wanted: JobFilter, caller: Owner) -> JobCount:
        """Counts matching jobs: all of them up to `MAX_COUNTED`, unless too many others have to be
        looked at for it."""
        counted, before = 0, None
        for _ in range(_MAX_WALKS):
            most = MAX_COUNTED + 1 - counted
            walk = await self._store.job_lists.walk(wanted, caller, before, most)
            counted, before = counted + len(walk.found), walk.next_before
            if counted > MAX_COUNTED:
                break
            if before is None:
                return JobCount(counted, is_estimate=False)
        estimate = await self._store.job_lists.estimate(wanted, caller)
        return JobCount(max(counted, estimate), is_estimate=True)


def read_together(found: Sequence[FoundJob], max_jobs: int, max_bytes: int) -> Iterator[list[str]]:
    """Yields the ids of jobs that are read in one statement: at most `max_jobs`, and with
    `max_bytes` of payloads unless the first has more. Pure."""
    part: list[str] = []
    part_bytes = 0
    for job in found:
        if part and (len(part) == max_jobs or part_bytes + job.payload_bytes > max_bytes):
            yield part
            part, part_bytes = [], 0
        part.append(job.job_id)
        part_bytes += job.payload_bytes
    if part:
        yield part
