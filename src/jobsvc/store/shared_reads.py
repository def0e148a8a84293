"""SharedReads at jobs: whoever wants to know at the same time shares a statement."""

from collections.abc import Mapping, Sequence

import msgspec

from jobsvc.domain.job import Job
from jobsvc.store.batch import Batcher
from jobsvc.store.jobs import JobStore

#: Most jobs read in one statement; outputs are large.
_MAX_JOBS = 100
#: Whoever looks at more jobs has a batch already, and holds up nobody who looks at one.
_MAX_SHARED = 10


class _Look(msgspec.Struct, frozen=True):
    job_id: str
    with_input: bool
    with_output: bool


class SharedReads:
    """Reads of jobs. `run` the batcher while it is in use.

    A job is read by a statement that begins after the look was asked for, never by one that is
    under way: who is told of a change and looks then sees it.
    """

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self.batcher: Batcher[_Look, Job | None] = Batcher(self._read, _MAX_JOBS)

    async def read(
        self, job_ids: Sequence[str], with_input: bool, with_output: bool
    ) -> Mapping[str, Job]:
        """Jobs as they are now, by id; missing ones are missing.

        Raises:
            DatabaseUnavailable: look again.
        """
        if len(job_ids) > _MAX_SHARED:
            return await self._jobs.read(job_ids, with_input, with_output)
        looks = [_Look(job_id, with_input, with_output) for job_id in job_ids]
        found: dict[str, Job] = {}
        for job in await self.batcher.submit(looks):
            if isinstance(job, Exception):
                raise job
            if job is not None:
                found[job.id] = job
        return found

    async def _read(self, looks: Sequence[_Look]) -> Sequence[Job | None]:
        # One statement for each kind of look: a status is not to wait for others' payloads.
        kinds = {(look.with_input, look.with_output) for look in looks}
        found: dict[tuple[bool, bool], Mapping[str, Job]] = {}
        for kind in kinds:
            ids = {x.job_id: None for x in looks if (x.with_input, x.with_output) == kind}
            found[kind] = await self._jobs.read(list(ids), *kind)
        return [found[look.with_input, look.with_output].get(look.job_id) for look in looks]
