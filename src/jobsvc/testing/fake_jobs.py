"""The jobs of a fake client: what was created, and what becomes of it. No time passes."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobsvc.client.convert.job_requests import create_request
from jobsvc.client.duration import to_seconds
from jobsvc.client.errors import (
    CallFailed,
    EtagMismatch,
    JobNotFound,
    JobStateConflict,
    RequestIdReused,
    UniqueKeyTaken,
)
from jobsvc.client.job import CreatedJob, Job, JobState, JobStatus, JobUpdate
from jobsvc.client.job_changes import JobChanges
from jobsvc.client.job_filter import JobFilter
from jobsvc.client.new_job import NewJob
from jobsvc.client.payload import encode_payload
from jobsvc.domain.job_id import new_job_id
from jobsvc.testing.script import Step

_RETRIABLE = (JobState.FAILED, JobState.CANCELLED)


class FakeJobs:
    """The jobs, in the order of their creation, and the scripts of their queues."""

    def __init__(self) -> None:
        #: What was asked for, in order; not what was only validated, or existed.
        self.created: list[NewJob] = []
        self.by_id: dict[str, Job] = {}
        self._request_ids: dict[str, tuple[str, NewJob]] = {}
        self._scripts: dict[str, tuple[Step, ...]] = {}
        self._left: dict[str, deque[Step]] = {}
        self._failures: deque[tuple[str, CallFailed]] = deque()

    def script(self, name: str, steps: tuple[Step, ...]) -> None:
        """Sets the steps of a job, by its id, or of all jobs of a queue that have none yet."""
        if name in self.by_id:
            self._left[name] = deque(steps)
        else:
            self._scripts[name] = steps

    def fail(self, call: str, failure: CallFailed, times: int) -> None:
        """Makes the next calls of a method fail."""
        self._failures += [(call, failure)] * times

    def begin(self, call: str) -> None:
        """Raises what was set by `fail`, if it is the turn of this method."""
        for planned in self._failures:
            if planned[0] == call:
                self._failures.remove(planned)
                raise planned[1]

    def create(self, new: NewJob, validate_only: bool = False) -> CreatedJob:
        """Creates a job, or returns the one of its request id or unique key."""
        create_request(new, validate_only)  # refuses what the real client refuses
        request_id = str(new.request_id)
        if request_id in self._request_ids:
            job_id, first = self._request_ids[request_id]
            if replace(first, request_id=request_id) != replace(new, request_id=request_id):
                raise RequestIdReused(
                    "ALREADY_EXISTS", "another job has the request id", reason="REQUEST_ID_REUSED"
                )
            return _created(self.by_id[job_id], existing=True)
        holder = self._holder(new)
        if holder is not None:
            if new.unique_conflict == "fail":
                raise UniqueKeyTaken(
                    "ALREADY_EXISTS",
                    f"job {holder.id} holds the unique key",
                    reason="UNIQUE_KEY_TAKEN",
                    metadata={"jobId": holder.id},
                )
            return _created(holder, existing=True)
        job = _job(new, datetime.now(UTC))
        if validate_only:
            return _created(replace(job, id=""), existing=False)
        self.created.append(new)
        self.by_id[job.id] = job
        self._request_ids[request_id] = job.id, new
        return _created(job, existing=False)

    def _holder(self, new: NewJob) -> Job | None:
        if new.unique_key is None:
            return None
        key = new.queue, new.unique_key
        held = (job for job in self.by_id.values() if (job.queue, job.unique_key) == key)
        return next((job for job in held if not job.ended), None)

    def get(self, job_id: str | UUID, etag: str = "") -> Job:
        """Returns a job.

        Raises:
            JobNotFound: there is none.
            EtagMismatch: it has another etag.
        """
        job = self.by_id.get(str(job_id))
        if job is None:
            raise JobNotFound("NOT_FOUND", f"job {job_id} does not exist", reason="JOB_NOT_FOUND")
        if etag and etag != job.etag:
            raise EtagMismatch("ABORTED", "the job has changed", reason="ETAG_MISMATCH")
        return job

    def step(self, job_id: str) -> Job:
        """Takes a job to the next step of its script.

        Raises:
            AssertionError: there is none.
        """
        job = self.by_id[job_id]
        left = self._left.setdefault(job_id, deque(self._scripts.get(job.queue, ())))
        if not left:
            raise AssertionError(
                f"the job {job_id} of {job.queue} is {job.state}, and its script has no more steps:"
                " give some to `script`"
            )
        return self._put(job, left.popleft())

    def updates(self, job_ids: list[str]) -> Iterator[JobUpdate]:
        """Yields the status of each job, then each step in turn, until all have ended."""
        for job_id in job_ids:
            yield _update(self.get(job_id))
        while running := [name for name in job_ids if not self.get(name).ended]:
            for job_id in running:
                yield _update(self.step(job_id))

    def cancel(self, job_id: str | UUID, reason: str, etag: str) -> Job:
        """Cancels a job, at once.

        Raises:
            JobStateConflict: it has ended otherwise.
        """
        job = self.get(job_id, etag)
        if job.state is JobState.CANCELLED:
            return job
        if job.ended:
            raise _conflict(job)
        job = self._put(job, Step(state=JobState.CANCELLED))
        status = replace(job.status, cancel_reason=reason, cancel_request_time=datetime.now(UTC))
        return self._keep(replace(job, status=status))

    def retry(self, job_id: str | UUID, extra_attempts: int, etag: str) -> Job:
        """Queues a job again; its script goes on where it was.

        Raises:
            JobStateConflict: it has not failed, and was not cancelled.
        """
        job = self.get(job_id, etag)
        if job.state not in _RETRIABLE:
            raise _conflict(job)
        job = replace(job, max_attempts=job.status.attempt + extra_attempts)
        return self._put(job, Step(state=JobState.PENDING))

    def update(self, job_id: str | UUID, changes: JobChanges, etag: str) -> Job:
        """Changes a job that is PENDING.

        Raises:
            JobStateConflict: it is not.
        """
        job = self.get(job_id, etag)
        if job.state is not JobState.PENDING:
            raise _conflict(job)
        values: dict[str, Any] = dict(changes)
        if "input" in values:
            given = values.pop("input")
            values["input_json"] = "{}" if given is None else encode_payload(given)
        if "labels" in values:
            values["labels"] = dict(values["labels"] or {})
        status = replace(job.status, version=job.status.version + 1)
        return self._keep(replace(job, status=status, etag=f"{status.version:x}", **values))

    def delete(self, job_id: str | UUID, etag: str) -> None:
        """Removes a job.

        Raises:
            JobStateConflict: it has not ended.
        """
        job = self.get(job_id, etag)
        if not job.ended:
            raise _conflict(job)
        del self.by_id[job.id]

    def find(self, wanted: JobFilter) -> list[Job]:
        """Returns the jobs that match, newest first."""
        return [job for job in reversed(self.by_id.values()) if _matches(job, wanted)]

    def _put(self, job: Job, step: Step) -> Job:
        now, before = datetime.now(UTC), job.status
        begins = step.state is JobState.PROCESSING and before.state is JobState.PENDING
        status = JobStatus(
            state=step.state,
            version=before.version + 1,
            attempt=before.attempt + begins,
            progress_percent=step.progress_percent,
            progress_message=step.progress_message,
            output_json=step.output_json,
            error=step.error,
            start_time=now if begins else before.start_time,
            update_time=now,
        )
        if status.ended:
            status = replace(status, end_time=now)
        return self._keep(replace(job, status=status, etag=f"{status.version:x}"))

    def _keep(self, job: Job) -> Job:
        self.by_id[job.id] = job
        return job


def _job(new: NewJob, now: datetime) -> Job:
    delay, ttl = new.delay, new.ttl
    schedule = new.schedule_time if delay is None else now + timedelta(seconds=to_seconds(delay))
    expire = new.expire_time if ttl is None else now + timedelta(seconds=to_seconds(ttl))
    return Job(
        id=new_job_id(),
        queue=new.queue,
        status=JobStatus(state=JobState.PENDING, version=1, attempt=0, update_time=now),
        input_json="{}" if new.input is None else encode_payload(new.input),
        priority=new.priority,
        schedule_time=schedule,
        expire_time=expire,
        attempt_timeout_seconds=_seconds(new.attempt_timeout),
        max_attempts=new.retry.max_attempts if new.retry else None,
        retention_seconds=_seconds(new.retention),
        start_within_seconds=_seconds(new.start_within),
        unique_key=new.unique_key or "",
        labels=dict(new.labels or {}),
        create_time=now,
        etag="1",
    )


def _seconds(duration: "float | timedelta | None") -> float | None:
    return None if duration is None else to_seconds(duration)


def _created(job: Job, existing: bool) -> CreatedJob:
    names = (name for name in Job.__dataclass_fields__ if name != "input_json")
    fields: dict[str, Any] = {name: getattr(job, name) for name in names}
    return CreatedJob(existing=existing, **fields)


def _update(job: Job) -> JobUpdate:
    return JobUpdate(job_id=job.id, queue=job.queue, status=job.status)


def _conflict(job: Job) -> JobStateConflict:
    return JobStateConflict(
        "FAILED_PRECONDITION",
        f"job {job.id} is {job.state}",
        reason="JOB_STATE_CONFLICT",
        metadata={"state": job.state.value},
    )


def _matches(job: Job, wanted: Mapping[str, Any]) -> bool:
    first, last = wanted.get("create_time_from"), wanted.get("create_time_until")
    created = job.create_time
    assert created is not None
    return (
        job.queue in (wanted.get("queues") or [job.queue])
        and job.state in (wanted.get("states") or [job.state])
        and (wanted.get("labels") or {}).items() <= dict(job.labels).items()
        and (first is None or created >= first)
        and (last is None or created < last)
    )
