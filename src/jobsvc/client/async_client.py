"""The client for asyncio. After a change here, `make generate` writes sync_client.py anew."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Unpack
from uuid import UUID

from jobsvc.client.async_bulk_calls import AsyncBulkCalls
from jobsvc.client.async_queue_calls import AsyncQueueCalls
from jobsvc.client.async_reply_stream import AsyncReplyStream
from jobsvc.client.async_watch_calls import AsyncWatchCalls
from jobsvc.client.convert.batches import batch_requests
from jobsvc.client.convert.job_replies import read_batch, read_created, read_ended, read_job
from jobsvc.client.convert.job_requests import (
    cancel_request,
    create_request,
    delete_request,
    get_request,
    retry_request,
    update_request,
    wait_request,
)
from jobsvc.client.convert.list_requests import count_request, list_request
from jobsvc.client.errors import CallFailed
from jobsvc.client.followed_jobs import FollowedJobs
from jobsvc.client.job import CreatedJob, Job, JobUpdate
from jobsvc.client.job_changes import JobChanges
from jobsvc.client.job_filter import JobCount, JobFilter
from jobsvc.client.long_calls import StreamAged
from jobsvc.client.new_job import JobOptions, NewJob
from jobsvc.client.payload import PayloadLike
from jobsvc.client.reconnect import ReconnectPolicy
from jobsvc.client.wait_deadline import WaitDeadline
from jobsvc.v1.job_service_pb2 import StreamJobStatusResponse


class AsyncClient(AsyncQueueCalls, AsyncBulkCalls, AsyncWatchCalls):
    """Calls a jobsvc server. Use it by `async with`; one client serves any number of tasks.

    `session_id` and `user_id` say for whom the caller acts: jobs that it creates
    are bound to them, and jobs bound to others stay invisible. `token`, or the
    text that the function returns at each call, is the identity of the calling
    service (`authorization: Bearer`). Each of the three is None, or printable
    ASCII and not empty (the ids up to 256 characters): ValueError otherwise.
    `credentials` turn on TLS. `metadata` goes with every call. `timeout` is the
    deadline of one call, in seconds. A `channel` that is given is used as it is
    (with its own options) for everything, and left open.

    `wait`, `follow` and `watch` have connections of their own, one for each 90 of them, since
    proxies take few long calls on one. After about `stream_age_seconds` they go on over another
    connection, perhaps to another replica. They measure with
    `clock` (seconds) and pause with `sleep`.

    Every method fails with a `CallFailed`. A call that finds the server
    UNAVAILABLE is repeated for about seven seconds, within its deadline, which
    covers a restart; creations carry a request id, so that a repetition never
    makes a second job. A call that the server has no room for is made again as
    the server asks, as long as its deadline allows, and fails with `Overloaded`
    then. After `Unavailable` or `DeadlineExceeded` the call may
    have taken effect all the same.
    """

    async def create(
        self,
        queue: str,
        input: PayloadLike | None = None,
        *,
        validate_only: bool = False,
        **options: Unpack[JobOptions],
    ) -> CreatedJob:
        """Creates a job, and returns it once it is on disk. `NewJob` explains the options.

        Give a `request_id` of your own to be able to repeat the call yourself
        after `Unavailable` or `DeadlineExceeded`, also from another process.
        `validate_only` checks everything and creates nothing.

        Raises:
            QueueNotFound: no such queue.
            PayloadRejected: the input does not fit the schema of the queue.
            PayloadTooLarge: the input is larger than the server accepts.
            InvalidRequest: an option is out of its range.
            UniqueKeyTaken: only with `unique_conflict="fail"`.
            RequestIdReused: the request id was used for another job.
            TypeError: the input has no JSON form.
            ValueError: the input is no JSON object, or options contradict each other.
        """
        request = create_request(NewJob(queue, input, **options), validate_only)
        return read_created(await self._create(request))

    async def create_and_wait(
        self,
        queue: str,
        input: PayloadLike | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - ends with the job, not with an error
        *,
        reconnect_seconds: float = 60.0,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Creates a job, and waits until it ends, or `timeout` seconds pass (None: no limit).

        The same as `create` and `wait`, sooner. A job that existed already is waited for as well.

        Raises: as `create`, and as `wait`.
        """
        request = create_request(NewJob(queue, input, **options))
        deadline = WaitDeadline(timeout, self._clock())
        created, last = await self._create_followed(request, timeout)
        if last is not None:
            return read_ended(request, created, last)
        left = None if deadline.time is None else max(0.0, deadline.time - self._clock())
        return await self.wait(created.job.id, left, reconnect_seconds=reconnect_seconds)

    async def create_many(self, jobs: Iterable[NewJob]) -> list[CreatedJob]:
        """Creates any number of jobs, and returns them in the same order.

        They travel in batches of up to 1,000; each batch is created as a whole
        or not at all. Two are under way at a time, so that the jobs of one may be
        created before those of the one before. After a failure the batches before
        it stand, and the one after it may. To call again with the same objects
        creates only the missing jobs, since each object carries its request id.

        Raises:
            CallFailed: as `create`; a note on it names the batch, and an index
                in the words of the server counts within that batch.
        """
        created: list[CreatedJob] = []
        batches = batch_requests(map(create_request, jobs))
        calls = self._call_each("JobService/BatchCreateJobs", self._jobs.BatchCreateJobs, batches)
        async with aclosing(calls) as responses:
            try:
                async for response in responses:
                    created += read_batch(response.responses)
            except CallFailed as failure:
                failure.add_note(f"in the batch that begins with job {len(created)}")
                raise
        return created

    async def get(self, job_id: str | UUID, full: bool = True) -> Job:
        """Returns a job as it is now; without input, output and attempts unless `full`.

        Raises:
            JobNotFound: no such job.
            JobNotOwned: the job belongs to another service, session or user.
        """
        request = get_request(job_id, full)
        response = await self._call("JobService/GetJob", self._jobs.GetJob, request)
        return read_job(response.job)

    async def list_jobs(
        self, *, full: bool = False, page_size: int = 200, **wanted: Unpack[JobFilter]
    ) -> AsyncGenerator[Job, None]:
        """Yields the jobs that match and that the caller may see, newest first.

        They come in pages of at most `page_size`, each as it is when it is read; without input
        and output unless `full`. Where few jobs match, the server returns pages with few or none
        to keep each of them cheap: that does not show, but such a list takes its time.

        Raises:
            InvalidRequest: a condition is out of its range.
            ValueError: a state is unknown.
        """
        token = ""
        while True:
            request = list_request(wanted, full, page_size, token)
            response = await self._call("JobService/ListJobs", self._jobs.ListJobs, request)
            for job in response.jobs:
                yield read_job(job)
            token = response.next_page_token
            if not token:
                return

    async def count_jobs(self, **wanted: Unpack[JobFilter]) -> JobCount:
        """Counts the jobs that `list_jobs` would yield: exactly up to 1,000, unless very many
        others have to be looked at for it; beyond, the count is an estimate.

        Raises: as `list_jobs`.
        """
        request = count_request(wanted)
        response = await self._call("JobService/CountJobs", self._jobs.CountJobs, request)
        return JobCount(count=response.count, is_estimate=response.is_estimate)

    async def wait(
        self,
        job_id: str | UUID,
        timeout: float | None = None,  # noqa: ASYNC109 - ends with the job, not with an error
        *,
        reconnect_seconds: float = 60.0,
    ) -> Job:
        """Waits until the job ends, or `timeout` seconds pass (None: no limit).

        A timeout is not an error: the job is returned as it is then, so ask it
        whether it has `ended`. While the server is away, the wait goes on for up
        to `reconnect_seconds`, or for the timeout of a call if the server has
        never answered, but no longer than a second after `timeout`.

        Raises:
            JobNotFound: no such job.
            JobNotOwned: the job belongs to another service, session or user.
            Unavailable, DeadlineExceeded: the server stayed away.
        """
        deadline = WaitDeadline(timeout, self._clock(), self._stream_age_seconds)
        reconnect = ReconnectPolicy(self._timeout, reconnect_seconds, until=deadline.time)
        while True:
            now = self._clock()
            request = wait_request(job_id, deadline.call_seconds(now))
            timeout_seconds = deadline.answer_seconds(now, self._timeout)
            try:
                async with self._long_call() as jobs:
                    response = await self._call(
                        "JobService/WaitJob", jobs.WaitJob, request, timeout_seconds
                    )
            except CallFailed as failure:
                await self._pause(reconnect, failure)
                continue
            reconnect.answered()
            job = read_job(response.job)
            if job.ended or deadline.passed(self._clock()):
                return job

    async def follow(
        self,
        job_ids: Iterable[str | UUID],
        *,
        heartbeat_seconds: float = 15.0,
        reconnect_seconds: float = 60.0,
    ) -> AsyncGenerator[JobUpdate, None]:
        """Yields the status of each of up to 1,000 jobs, then each newer one, until all have ended.

        Versions rise per job, unless a failover or a restore took the database
        back; statuses between may be skipped, the last one is always yielded,
        with its output. Breaks of the stream do not show: it is
        opened again for the jobs that have not ended. It counts as broken when
        nothing, not even a heartbeat (every 5 to 300 seconds), has come for
        three heartbeats. While the server is away, the following goes on for up
        to `reconnect_seconds`, or for the timeout of a call if the server has
        never answered.

        Leave the loop early under `contextlib.aclosing`, to end the stream at once.

        Raises:
            JobNotFound: one of the jobs does not exist.
            JobNotOwned: one of the jobs belongs to somebody else.
            Unavailable: the server stayed away.
        """
        followed = FollowedJobs(job_ids, heartbeat_seconds)
        reconnect = ReconnectPolicy(self._timeout, reconnect_seconds)
        stream: AsyncReplyStream[StreamJobStatusResponse] | None = None
        try:
            while not followed.all_ended:
                if stream is None:
                    stream = self._open_status_stream(followed.request(), followed.silence_seconds)
                try:
                    update = followed.accept(await stream.read())
                except StreamAged:
                    await stream.close()
                    stream = None
                    continue
                except CallFailed as failure:
                    await stream.close()
                    stream = None
                    await self._pause(reconnect, failure)
                    continue
                reconnect.answered()
                if update is not None:
                    yield update
        finally:
            if stream is not None:
                await stream.close()

    async def cancel(self, job_id: str | UUID, reason: str = "", *, etag: str = "") -> Job:
        """Asks for a job to be cancelled, and returns it as it is then.

        A waiting job ends at once, a running one when its worker confirms, and
        after 30 seconds at the latest. Cancelling again changes nothing.

        With the `etag` of a job that was read, here and below, nothing is done if the
        job has changed since.

        Raises:
            JobNotFound: no such job.
            JobNotOwned: the job belongs to another service, session or user.
            JobStateConflict: it has ended otherwise.
            EtagMismatch: it has changed.
        """
        request = cancel_request(job_id, reason, etag)
        response = await self._call("JobService/CancelJob", self._jobs.CancelJob, request)
        return read_job(response.job)

    async def retry(self, job_id: str | UUID, extra_attempts: int = 1, *, etag: str = "") -> Job:
        """Queues a job that FAILED or was CANCELLED again, under its id.

        It gets 1 to 100 `extra_attempts` on top of those made.

        Raises: as `cancel`, and
            UniqueKeyTaken: another job holds its unique key by now.
        """
        request = retry_request(job_id, extra_attempts, etag)
        response = await self._call("JobService/RetryJob", self._jobs.RetryJob, request)
        return read_job(response.job)

    async def update(
        self, job_id: str | UUID, *, etag: str = "", **changes: Unpack[JobChanges]
    ) -> Job:
        """Changes a job that is PENDING: what is given, and nothing else. See `JobChanges`.

        Raises: as `cancel`, and
            InvalidRequest: a value is out of its range, or nothing is given.
            PayloadRejected, PayloadTooLarge: as `create`.
            TypeError, ValueError: as `create`.
        """
        request = update_request(job_id, changes, etag)
        response = await self._call("JobService/UpdateJob", self._jobs.UpdateJob, request)
        return read_job(response.job)

    async def delete(self, job_id: str | UUID, *, etag: str = "") -> None:
        """Removes a job that has ended. Its request id never makes a second job all the same.

        Raises: as `cancel`.
        """
        request = delete_request(job_id, etag)
        await self._call("JobService/DeleteJob", self._jobs.DeleteJob, request)
