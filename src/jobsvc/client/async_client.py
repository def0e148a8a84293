"""The client for asyncio."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack
from uuid import UUID

import grpc
from grpc import aio
from opentelemetry import trace

from jobsvc.client import replies, requests
from jobsvc.client.async_status_stream import AsyncStatusStream, StreamCall
from jobsvc.client.call_span import call_span
from jobsvc.client.channel import Identity, channel_options
from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import CallFailed
from jobsvc.client.following import Following
from jobsvc.client.job import CreatedJob, Job, JobUpdate
from jobsvc.client.new_job import JobOptions, NewJob
from jobsvc.client.payload import PayloadLike
from jobsvc.client.queue import Queue, QueueOptions, QueueStats
from jobsvc.client.reconnect import ReconnectPolicy
from jobsvc.client.waiting import Waiting
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2 import GetQueueStatsRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub

Q = TypeVar("Q")
R = TypeVar("R")


class AsyncClient:
    """Calls a jobsvc server. Use it as `async with`; one client serves any number of tasks.

    `session_id` and `user_id` say whom the caller acts for: jobs it creates
    are bound to them, and jobs bound to others stay invisible. `token`, or what
    the function returns at each call, is the identity of the calling service
    (`authorization: Bearer`). `credentials` turn on TLS. `metadata` goes with
    every call. `timeout` is the deadline of one call, in seconds.

    Every method fails with a `CallFailed`. A call that finds the server
    UNAVAILABLE is repeated for about seven seconds, within its deadline, which
    covers a restart; creations carry a request id, so that a repetition never
    makes a second job. After `Unavailable` or `DeadlineExceeded` the call may
    have taken effect all the same.
    """

    def __init__(
        self,
        target: str = "127.0.0.1:50051",
        *,
        session_id: str | None = None,
        user_id: str | None = None,
        token: str | Callable[[], str] | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Sequence[tuple[str, str]] = (),
        timeout: float = 10.0,
    ) -> None:
        self._target = target
        self._credentials = credentials
        self._identity = Identity(session_id, user_id, token, metadata)
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        # Here, not above: a channel belongs to the event loop that it was made in.
        options = channel_options()
        self._channel = (
            aio.secure_channel(self._target, self._credentials, options)
            if self._credentials
            else aio.insecure_channel(self._target, options)
        )
        self._jobs = JobServiceStub(self._channel)
        self._queues = QueueServiceStub(self._channel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._channel.close()

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
        request = requests.create_request(NewJob(queue, input, **options), validate_only)
        return replies.read_created(
            await self._call("JobService/CreateJob", self._jobs.CreateJob, request)
        )

    async def create_many(self, jobs: Iterable[NewJob]) -> list[CreatedJob]:
        """Creates any number of jobs, and returns them in the same order.

        They travel in batches of up to 1,000; each batch is created as a whole
        or not at all. After a failure the batches before stand. To call again
        with the same objects creates only what is missing, since each carries
        its request id.

        Raises:
            CallFailed: as `create`; a note on it names the batch, and what the
                server says about places in the request counts within the batch.
        """
        created: list[CreatedJob] = []
        for batch in requests.batch_requests(map(requests.create_request, jobs)):
            try:
                response = await self._call(
                    "JobService/BatchCreateJobs", self._jobs.BatchCreateJobs, batch
                )
            except CallFailed as failure:
                failure.add_note(f"in the batch that begins with job {len(created)}")
                raise
            created += map(replies.read_created, response.responses)
        return created

    async def get(self, job_id: str | UUID, full: bool = True) -> Job:
        """Returns a job as it is now; without input, output and attempts unless `full`.

        Raises:
            JobNotFound: no such job.
            JobNotOwned: it belongs to another service, session or user.
        """
        request = requests.get_request(job_id, full)
        response = await self._call("JobService/GetJob", self._jobs.GetJob, request)
        return replies.read_job(response.job)

    async def wait(
        self,
        job_id: str | UUID,
        timeout: float | None = None,  # noqa: ASYNC109 - ends with the job, not with an error
        *,
        reconnect_seconds: float = 60.0,
    ) -> Job:
        """Waits until the job ends, or `timeout` seconds pass (None: no limit).

        A timeout is not an error: the job is returned as it is then, so ask it
        whether it has `ended`. A server that goes away meanwhile is waited for
        up to `reconnect_seconds`, one that never answered for the timeout of a call.

        Raises:
            JobNotFound: no such job.
            JobNotOwned: it belongs to another service, session or user.
            Unavailable: the server stayed away.
        """
        clock = asyncio.get_running_loop().time
        waiting = Waiting(timeout, clock(), ReconnectPolicy(self._timeout, reconnect_seconds))
        while True:
            seconds = waiting.call_seconds(clock())
            request = requests.wait_request(job_id, seconds)
            try:
                response = await self._call(
                    "JobService/WaitJob", self._jobs.WaitJob, request, seconds
                )
            except CallFailed as failure:
                pause = waiting.pause_seconds(failure, clock(), random.uniform(-1, 1))
                if pause is None:
                    raise
                await asyncio.sleep(pause)
                continue
            job = replies.read_job(response.job)
            if waiting.answered(job, clock()):
                return job

    async def follow(
        self,
        job_ids: Iterable[str | UUID],
        *,
        heartbeat_seconds: float = 15.0,
        reconnect_seconds: float = 60.0,
    ) -> AsyncGenerator[JobUpdate, None]:
        """Yields the status of each of up to 1,000 jobs, then each newer one, until all have ended.

        Versions rise per job; statuses between may be skipped, the last one is
        always yielded, with its output. Breaks of the stream do not show: it is
        opened again for the jobs that have not ended. It counts as broken when
        nothing, not even a heartbeat (every 5 to 300 seconds), has come for
        three heartbeats. A server that goes away is waited for up to
        `reconnect_seconds`, one that never answered for the timeout of a call.

        Leave the loop early under `contextlib.aclosing`, to end the stream at once.

        Raises:
            JobNotFound: one of them does not exist.
            JobNotOwned: one of them belongs to somebody else.
            Unavailable: the server stayed away.
        """
        clock = asyncio.get_running_loop().time
        following = Following(job_ids, heartbeat_seconds)
        patience = ReconnectPolicy(self._timeout, reconnect_seconds)
        stream: AsyncStatusStream | None = None
        try:
            while not following.done:
                if stream is None:
                    stream = AsyncStatusStream(self._open(following), following)
                try:
                    response = await stream.read()
                except CallFailed as failure:
                    stream.close()
                    stream = None
                    pause = patience.pause_seconds(failure, clock(), random.uniform(-1, 1))
                    if pause is None:
                        raise
                    await asyncio.sleep(pause)
                    continue
                patience.answered()
                update = following.accept(response)
                if update is not None:
                    yield update
        finally:
            if stream is not None:
                stream.close()

    async def cancel(self, job_id: str | UUID, reason: str = "") -> Job:
        """Asks for a job to be cancelled, and returns it as it is then.

        A waiting job ends at once, a running one when its worker confirms, and
        after 30 seconds at the latest. Cancelling again changes nothing.

        Raises:
            JobNotFound: no such job.
            JobNotOwned: it belongs to another service, session or user.
            CallFailed: with reason `JOB_STATE_CONFLICT` if it has ended otherwise.
        """
        request = requests.cancel_request(job_id, reason)
        response = await self._call("JobService/CancelJob", self._jobs.CancelJob, request)
        return replies.read_job(response.job)

    async def declare_queue(self, name: str, **options: Unpack[QueueOptions]) -> Queue:
        """Makes a queue, or changes what is given here of one that exists."""
        request = requests.declare_queue_request(name, options)
        response = await self._call("QueueService/UpdateQueue", self._queues.UpdateQueue, request)
        return replies.read_queue(response.queue)

    async def queue_stats(self, *queues: str) -> list[QueueStats]:
        """Counts the jobs and workers of queues, of all when none is named.

        Raises:
            QueueNotFound: one of them does not exist.
        """
        request = GetQueueStatsRequest(queues=queues)
        response = await self._call(
            "QueueService/GetQueueStats", self._queues.GetQueueStats, request
        )
        return [replies.read_stats(stats) for stats in response.stats]

    async def _call(
        self,
        name: str,
        method: aio.UnaryUnaryMultiCallable[Q, R],
        request: Q,
        more_seconds: float = 0.0,
    ) -> R:
        with call_span(f"jobsvc.v1.{name}") as span:
            try:
                return await method(
                    request,
                    timeout=self._timeout + more_seconds,
                    metadata=self._identity.headers(span),
                )
            except grpc.RpcError as error:
                raise read_failure(error) from error

    def _open(self, following: Following) -> StreamCall:
        # No span: a stream may last for days, and what it shows has its own trace.
        return self._jobs.StreamJobStatus(
            following.request(), metadata=self._identity.headers(trace.get_current_span())
        )
