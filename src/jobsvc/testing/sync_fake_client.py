"""The client for code that blocks. Generated from async_fake_client.py: do not edit."""

from collections.abc import Generator, Iterable
from types import TracebackType
from typing import Any, Self, Unpack
from uuid import UUID

from jobsvc.client import Client
from jobsvc.client.errors import CallFailed
from jobsvc.client.job import CreatedJob, Job, JobUpdate
from jobsvc.client.job_changes import JobChanges
from jobsvc.client.job_filter import JobCount, JobFilter
from jobsvc.client.new_job import JobOptions, NewJob
from jobsvc.client.payload import PayloadLike
from jobsvc.testing.fake_jobs import FakeJobs
from jobsvc.testing.script import Step


class FakeClient(Client):
    """Takes the place of `Client` in a test of code that creates and follows jobs.

    It keeps what is created in memory and asks no server: `created` has the jobs in order, and
    `script` says what becomes of them. Options are checked as the real client checks them; what
    only a server knows (queues, schemas, limits, owners) is not. A method that has no fake raises
    NotImplementedError: test what needs it with a real server.
    """

    def __init__(self) -> None:
        # Without the attributes of the real client, which are a connection: see `__getattr__`.
        self._fake = FakeJobs()

    # Any: nothing is returned.
    def __getattr__(self, name: str) -> Any:
        """Refuses a method that wants to reach a server."""
        if name.startswith("__") or not name.startswith("_"):
            raise AttributeError(name)
        raise NotImplementedError(
            f"{type(self).__name__} has no such call: test it with a real server"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Does nothing; the jobs are still there."""

    @property
    def created(self) -> list[NewJob]:
        """The jobs that were created, as they were asked for, in order. Not those that existed
        already, or were only validated."""
        return self._fake.created

    def script(self, job_or_queue: str, *steps: Step) -> None:
        """Says what becomes of a job, by its id, or of every job of a queue: each `follow` and
        `wait` takes its jobs from step to step until they have ended.

            client.script("mail", running(50), completed({"sent": 1}))
        """
        self._fake.script(job_or_queue, steps)

    def fail(self, call: str, failure: CallFailed, times: int = 1) -> None:
        """Makes the next calls of a method fail.

        client.fail("create", Unavailable("UNAVAILABLE", "no server"))
        """
        if not callable(getattr(self, call, None)):
            raise ValueError(f"there is no call {call!r}")
        self._fake.fail(call, failure, times)

    def create(
        self,
        queue: str,
        input: PayloadLike | None = None,
        *,
        validate_only: bool = False,
        **options: Unpack[JobOptions],
    ) -> CreatedJob:
        """As the real one; the same request id or unique key finds the same job."""
        self._fake.begin("create")
        return self._fake.create(NewJob(queue, input, **options), validate_only)

    def create_many(self, jobs: Iterable[NewJob]) -> list[CreatedJob]:
        """As the real one."""
        self._fake.begin("create_many")
        return [self._fake.create(job) for job in jobs]

    def get(self, job_id: str | UUID, full: bool = True) -> Job:
        """As the real one; always with the payloads."""
        self._fake.begin("get")
        return self._fake.get(job_id)

    def list_jobs(
        self, *, full: bool = False, page_size: int = 200, **wanted: Unpack[JobFilter]
    ) -> Generator[Job, None, None]:
        """As the real one; always with the payloads, and every job counts as one's own."""
        self._fake.begin("list_jobs")
        for job in self._fake.find(wanted):
            yield job

    def count_jobs(self, **wanted: Unpack[JobFilter]) -> JobCount:
        """As the real one, and exact."""
        self._fake.begin("count_jobs")
        return JobCount(count=len(self._fake.find(wanted)), is_estimate=False)

    def wait(
        self,
        job_id: str | UUID,
        timeout: float | None = None,
        *,
        reconnect_seconds: float = 60.0,
    ) -> Job:
        """Takes the job to the end of its script, at once; with a `timeout` of 0, nowhere."""
        self._fake.begin("wait")
        job = self._fake.get(job_id)
        while not job.ended and timeout != 0:
            job = self._fake.step(job.id)
        return job

    def follow(
        self,
        job_ids: Iterable[str | UUID],
        *,
        heartbeat_seconds: float = 15.0,
        reconnect_seconds: float = 60.0,
    ) -> Generator[JobUpdate, None, None]:
        """Yields the status of each job, then every step of its script, the jobs in turn."""
        self._fake.begin("follow")
        for update in self._fake.updates([str(job_id) for job_id in job_ids]):
            yield update

    def cancel(self, job_id: str | UUID, reason: str = "", *, etag: str = "") -> Job:
        """As the real one, at once."""
        self._fake.begin("cancel")
        return self._fake.cancel(job_id, reason, etag)

    def retry(self, job_id: str | UUID, extra_attempts: int = 1, *, etag: str = "") -> Job:
        """As the real one; the script of the job goes on where it was."""
        self._fake.begin("retry")
        return self._fake.retry(job_id, extra_attempts, etag)

    def update(self, job_id: str | UUID, *, etag: str = "", **changes: Unpack[JobChanges]) -> Job:
        """As the real one."""
        self._fake.begin("update")
        return self._fake.update(job_id, changes, etag)

    def delete(self, job_id: str | UUID, *, etag: str = "") -> None:
        """As the real one."""
        self._fake.begin("delete")
        self._fake.delete(job_id, etag)
