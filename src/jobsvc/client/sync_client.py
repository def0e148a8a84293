"""The client for code that blocks."""

import random
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar, Unpack
from uuid import UUID

import grpc
from opentelemetry import trace

from jobsvc.client import replies, requests
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
from jobsvc.client.status_stream import StatusStream, StreamCall
from jobsvc.client.waiting import Waiting
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2 import GetQueueStatsRequest
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub

Q = TypeVar("Q")
R = TypeVar("R")


class Client:
    """Calls a jobsvc server, one call after another; threads may share it. A context manager.

    Everything is as in `AsyncClient`, whose docstrings hold here too, except
    that the methods block. A `channel` that is given is used as it is (with
    its own options) and left open. `clock` (seconds) and `sleep` are what
    `wait` and `follow` measure and pause with.
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
        channel: grpc.Channel | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._identity = Identity(session_id, user_id, token, metadata)
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._own_channel: grpc.Channel | None = None
        if channel is None:
            options = channel_options()
            channel = self._own_channel = (
                grpc.secure_channel(target, credentials, options)
                if credentials
                else grpc.insecure_channel(target, options)
            )
        self._jobs = JobServiceStub(channel)
        self._queues = QueueServiceStub(channel)

    def create(
        self,
        queue: str,
        input: PayloadLike | None = None,
        *,
        validate_only: bool = False,
        **options: Unpack[JobOptions],
    ) -> CreatedJob:
        """Creates a job; see `AsyncClient.create`."""
        request = requests.create_request(NewJob(queue, input, **options), validate_only)
        return replies.read_created(
            self._call("JobService/CreateJob", self._jobs.CreateJob, request)
        )

    def create_many(self, jobs: Iterable[NewJob]) -> list[CreatedJob]:
        """Creates any number of jobs; see `AsyncClient.create_many`."""
        created: list[CreatedJob] = []
        for batch in requests.batch_requests(map(requests.create_request, jobs)):
            try:
                response = self._call(
                    "JobService/BatchCreateJobs", self._jobs.BatchCreateJobs, batch
                )
            except CallFailed as failure:
                failure.add_note(f"in the batch that begins with job {len(created)}")
                raise
            created += map(replies.read_created, response.responses)
        return created

    def get(self, job_id: str | UUID, full: bool = True) -> Job:
        """Returns a job as it is now; see `AsyncClient.get`."""
        request = requests.get_request(job_id, full)
        return replies.read_job(self._call("JobService/GetJob", self._jobs.GetJob, request).job)

    def wait(
        self, job_id: str | UUID, timeout: float | None = None, *, reconnect_seconds: float = 60.0
    ) -> Job:
        """Waits until the job ends or the timeout passes; see `AsyncClient.wait`."""
        waiting = Waiting(timeout, self._clock(), ReconnectPolicy(self._timeout, reconnect_seconds))
        while True:
            seconds = waiting.call_seconds(self._clock())
            request = requests.wait_request(job_id, seconds)
            try:
                response = self._call("JobService/WaitJob", self._jobs.WaitJob, request, seconds)
            except CallFailed as failure:
                pause = waiting.pause_seconds(failure, self._clock(), random.uniform(-1, 1))
                if pause is None:
                    raise
                self._sleep(pause)
                continue
            job = replies.read_job(response.job)
            if waiting.answered(job, self._clock()):
                return job

    def follow(
        self,
        job_ids: Iterable[str | UUID],
        *,
        heartbeat_seconds: float = 15.0,
        reconnect_seconds: float = 60.0,
    ) -> Generator[JobUpdate, None, None]:
        """Yields each new status of the jobs until all have ended; see `AsyncClient.follow`."""
        following = Following(job_ids, heartbeat_seconds)
        patience = ReconnectPolicy(self._timeout, reconnect_seconds)
        stream: StatusStream | None = None
        try:
            while not following.done:
                if stream is None:
                    stream = StatusStream(self._open(following), following)
                try:
                    response = stream.read()
                except CallFailed as failure:
                    stream.close()
                    stream = None
                    pause = patience.pause_seconds(failure, self._clock(), random.uniform(-1, 1))
                    if pause is None:
                        raise
                    self._sleep(pause)
                    continue
                patience.answered()
                update = following.accept(response)
                if update is not None:
                    yield update
        finally:
            if stream is not None:
                stream.close()

    def cancel(self, job_id: str | UUID, reason: str = "") -> Job:
        """Asks for a job to be cancelled; see `AsyncClient.cancel`."""
        request = requests.cancel_request(job_id, reason)
        return replies.read_job(
            self._call("JobService/CancelJob", self._jobs.CancelJob, request).job
        )

    def declare_queue(self, name: str, **options: Unpack[QueueOptions]) -> Queue:
        """Makes a queue, or changes what is given here of one that exists."""
        request = requests.declare_queue_request(name, options)
        response = self._call("QueueService/UpdateQueue", self._queues.UpdateQueue, request)
        return replies.read_queue(response.queue)

    def queue_stats(self, *queues: str) -> list[QueueStats]:
        """Counts the jobs and workers of queues, of all when none is named."""
        request = GetQueueStatsRequest(queues=queues)
        response = self._call("QueueService/GetQueueStats", self._queues.GetQueueStats, request)
        return [replies.read_stats(stats) for stats in response.stats]

    def close(self) -> None:
        """Ends the connection and the calls on it."""
        if self._own_channel is not None:
            self._own_channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(
        self,
        name: str,
        method: "grpc.UnaryUnaryMultiCallable[Q, R]",
        request: Q,
        more_seconds: float = 0.0,
    ) -> R:
        with call_span(f"jobsvc.v1.{name}") as span:
            try:
                return method(
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
