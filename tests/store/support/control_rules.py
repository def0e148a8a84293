"""What callers do with jobs, as rules of a machine that has a model of them."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from jobsvc.domain.job import JobState
from jobsvc.domain.job_control import ALLOWED, Control, JobChange
from jobsvc.domain.lease import LeaseId
from jobsvc.store.job_control import Queued
from jobsvc.store.jobs import KeyTaken
from jobsvc.store.store import Store
from tests.store.support.known_job import Known, KnownJobs

#: Whether a call names the version in which the job is, or one before.
_VERSIONS = st.sampled_from([0, 0, 0, -1])


class ControlRules(KnownJobs):
    """Cancels, retries, changes and deletes known jobs, in every state."""

    store: Store
    run: Callable[[Any], Any]  # Any: whatever a call of the store returns

    def _some_job(self, data: st.DataObject, control: Control) -> tuple[str, Known]:
        """A job that may be controlled so, or else any."""
        may = [i for i, k in self.jobs.items() if k.state in ALLOWED[control] and not k.emptied]
        job_id = data.draw(st.sampled_from(may or list(self.jobs)) | st.sampled_from([*self.jobs]))
        return job_id, self.jobs[job_id]

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.cancel_job(self._some_job(data, Control.CANCEL)[0])

    def cancel_job(self, job_id: str) -> None:
        done = self.run(self.store.job_control.cancel(job_id, None, "why", 60.0, 30.0))
        known = self.jobs.get(job_id)
        if known is not None and known.state is JobState.PENDING:
            assert done is True
            known.state, known.ended_by_lease = JobState.CANCELLED, False
        elif known is not None and known.lease is not None and not known.cancel_requested:
            assert done == known.lease
            assert isinstance(done, LeaseId)
            known.cancel_requested = True
        else:
            assert done is False
            return
        known.version += 1

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), extra=st.integers(1, 2), off=_VERSIONS)
    def retry(self, data: st.DataObject, extra: int, off: int) -> None:
        job_id, known = self._some_job(data, Control.RETRY)
        others = (k for k in self.jobs.values() if k is not known and not k.state.ended)
        taken = known.key is not None and any(k.key == known.key for k in others)
        may = known.state in ALLOWED[Control.RETRY] and not known.emptied and off == 0

        async def queue_again() -> Queued | None:
            async with self.store.database.transaction() as connection:
                versions = {job_id: known.version + off}
                queued = await self.store.job_control.retry(versions, extra, connection)
                return queued.get(job_id)

        try:
            queued = self.run(queue_again())
        except KeyTaken:
            assert may
            assert taken
            return
        assert (queued is not None) == may
        if queued is not None:
            assert not taken
            known.past += known.ended_by_lease
            known.state, known.ready, known.cancel_requested = JobState.PENDING, True, False
            known.max_attempts, known.redeliveries = known.attempt + extra, 0
            known.version += 1

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), priority=st.integers(-1, 1), off=_VERSIONS)
    def update(self, data: st.DataObject, priority: int, off: int) -> None:
        job_id, known = self._some_job(data, Control.UPDATE)
        change = JobChange(frozenset({"priority", "schedule_time"}), priority)
        versions = {job_id: known.version + off}
        queued = self.run(self.store.job_control.update(versions, change))
        assert (job_id in queued) == (known.state is JobState.PENDING and off == 0)
        if queued:
            known.priority, known.ready = priority, True
            known.version += 1

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), request_id_seconds=st.sampled_from([0.0, 3600.0]), off=_VERSIONS)
    def delete(self, data: st.DataObject, request_id_seconds: float, off: int) -> None:
        job_id, known = self._some_job(data, Control.DELETE)
        version = known.version + off
        versions = {job_id: version}
        done = self.run(self.store.job_control.delete(versions, request_id_seconds))
        assert bool(done) == (known.state.ended and not known.emptied and off == 0)
        if done and known.has_request and request_id_seconds:
            known.past, known.emptied = 0, True
        elif done:
            del self.jobs[job_id]
