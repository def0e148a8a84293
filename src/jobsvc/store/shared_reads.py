"""Shared reads of jobs, the idea of a DataLoader: reads at the same time become one statement."""

from collections.abc import Mapping, Sequence

import msgspec

from jobsvc.domain.job import Job
from jobsvc.store.batch import Batcher
from jobsvc.store.jobs import JobStore

#: Jobs read in one statement; few, because outputs are large.
_MAX_JOBS = 100
#: A read of more jobs than this runs alone: it is a batch already, and must not delay small reads.
_MAX_SHARED = 10


class _Read(msgspec.Struct, frozen=True):
    job_id: str
    with_input: bool
    with_output: bool


class SharedReads:
    """Reads jobs by id, concurrent calls together. `run` the batcher while it is in use.

    There is no cache, unlike in a DataLoader: the statement begins after the call, so a caller
    that was told of a change sees that change.
    """

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self.batcher: Batcher[_Read, Job | None] = Batcher(self._read_all, _MAX_JOBS)

    async def read(
        self, job_ids: Sequence[str], with_input: bool, with_output: bool
    ) -> Mapping[str, Job]:
        """Returns jobs as they are now, by id, without those that do not exist.

        Raises:
            DatabaseUnavailable: read again.
        """
        if len(job_ids) > _MAX_SHARED:
            return await self._jobs.read(job_ids, with_input, with_output)
        reads = [_Read(job_id, with_input, with_output) for job_id in job_ids]
        found: dict[str, Job] = {}
        for job in await self.batcher.submit(reads):
            if isinstance(job, Exception):
                raise job
            if job is not None:
                found[job.id] = job
        return found

    async def _read_all(self, reads: Sequence[_Read]) -> Sequence[Job | None]:
        # One statement for each combination: a read of a status must not wait for payloads.
        kinds = {(read.with_input, read.with_output) for read in reads}
        found: dict[tuple[bool, bool], Mapping[str, Job]] = {}
        for kind in kinds:
            ids = {r.job_id: None for r in reads if (r.with_input, r.with_output) == kind}
            found[kind] = await self._jobs.read(list(ids), *kind)
        return [found[read.with_input, read.with_output].get(read.job_id) for read in reads]
