"""Reads jobs that have changed, once for all watchers, and marks them at those that want them."""

from collections.abc import Awaitable, Callable, Sequence

from jobsvc.domain.job import Job, JobState
from jobsvc.domain.watch_index import WatchIndex
from jobsvc.event_loop.time_slice import TimeSlice
from jobsvc.jobs.latest_updates import LatestUpdates, WrittenUpdate
from jobsvc.jobs.watcher import UpdateForm, Watcher
from jobsvc.store.store import Store

#: Jobs read in one statement with their outputs, which have up to 256 KiB each.
_READ_OUTPUTS = 32

#: Writes an update of a job, in a form.
WriteUpdate = Callable[[Job, UpdateForm], Awaitable[bytes]]


class Distribution:
    """Passes changes on, one reading after the other: so none overtakes a later one."""

    def __init__(self, store: Store, index: WatchIndex[Watcher], write_update: WriteUpdate) -> None:
        self._store = store
        self._index = index
        self._write_update = write_update
        self.latest = LatestUpdates()
        #: Number of the reading that goes on or was the last, and the jobs that it reads.
        self._reading = 0
        self._in_reading: frozenset[str] = frozenset()

    def seen(self, watcher: Watcher, job: Job) -> None:
        """Notes that a watcher has read a job by itself, and is about to send it: nothing older may
        follow."""
        version = job.status.version
        if job.id in self._in_reading:
            watcher.saw(job.id, version, self._reading)
        if self.latest.version(job.id) <= version:
            watcher.unmark(job.id)

    async def pass_on(self, ids: Sequence[str], are_watched: bool = False) -> None:
        """Reads jobs, and passes on those that are news; `are_watched` if all are in queues that
        are watched."""
        queues = self._index.queues
        if queues is not None and not are_watched:
            ids = await self._store.changes.in_queues(ids, queues)
        if not ids:
            return
        self._reading += 1
        self._in_reading = frozenset(ids)
        try:
            await self._read(ids)
        finally:
            self._in_reading = frozenset()

    async def _read(self, ids: Sequence[str]) -> None:
        jobs = await self._store.jobs.read(ids, False, False)
        with_output: list[str] = []
        time_slice = TimeSlice()
        for job_id in ids:
            job = jobs.get(job_id)
            if job is None:
                self.latest.forget(job_id)
                continue
            status = job.status
            if self.latest.is_known(job_id, status.version, status.update_time):
                continue
            matched = self._match(job)
            if status.state is JobState.COMPLETED and any(
                watcher.form.is_full for watcher in matched
            ):
                with_output.append(job_id)
            else:
                await self._tell(job, matched)
            if time_slice.used_up:
                await time_slice.yield_()
        for start in range(0, len(with_output), _READ_OUTPUTS):
            part = with_output[start : start + _READ_OUTPUTS]
            for job in (await self._store.jobs.read(part, False, True)).values():
                await self._tell(job, self._match(job))

    def _match(self, job: Job) -> list[Watcher]:
        """Returns the watchers that want a job as it is; the others have no update of it pending
        any more."""
        matched = []
        for watcher in self._index.candidates(job):
            if watcher.wanted.matches(job, watcher.caller):
                matched.append(watcher)
            else:
                watcher.unmark(job.id)
        return matched

    async def _tell(self, job: Job, matched: Sequence[Watcher]) -> None:
        status = job.status
        if not matched:
            self.latest.note(job.id, status.version, status.update_time)
            return
        texts = {
            form: await self._write_update(job, form)
            for form in {watcher.form for watcher in matched}
        }
        written = WrittenUpdate(status.state, texts)
        self.latest.keep(job.id, status.version, status.update_time, written)
        for watcher in matched:
            watcher.mark(job.id, status.version, self._reading)
