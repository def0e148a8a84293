"""How `Client` reaches its server. `async_connection.py` does the same for asyncio."""

import contextvars
import os
import random
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import inf
from types import TracebackType
from typing import Self, TypeVar

import grpc
from opentelemetry import trace

from jobsvc import telemetry
from jobsvc.client.call_span import call_span
from jobsvc.client.channel import open_channel
from jobsvc.client.convert.job_requests import submit_job
from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import CallFailed
from jobsvc.client.identity import Identity
from jobsvc.client.long_calls import MAX_CALLS, LongCallChannel, LongCalls, stream_seconds
from jobsvc.client.reconnect import (
    CALLS_AT_A_TIME,
    REPEAT_SECONDS,
    ReconnectPolicy,
    is_refused,
    may_repeat,
)
from jobsvc.client.submit_policy import SubmitPolicy, is_repeated
from jobsvc.client.sync_reply_stream import ReplyStream, StreamCall
from jobsvc.client.sync_submit import Opening, Submitter
from jobsvc.client.unconfirmed_jobs import StreamBroken
from jobsvc.domain.target import check_target
from jobsvc.v1.job_service_pb2 import (
    CreateJobRequest,
    CreateJobResponse,
    JobUpdate,
    StreamJobStatusRequest,
    StreamJobStatusResponse,
    WatchJobsRequest,
    WatchJobsResponse,
)
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub

Q = TypeVar("Q")
R = TypeVar("R")


#: A channel for long calls, with its stub.
_LongChannel = tuple[grpc.Channel, JobServiceStub]


class Connection:
    """Channels with their stubs, and how one call is made on them. `Client` adds the calls."""

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
        stream_age_seconds: float = 3600.0,
        channel: grpc.Channel | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        check_target(target)
        if not stream_age_seconds > 0:
            raise ValueError(f"stream_age_seconds must be positive, not {stream_age_seconds}")
        #: Unknown for a channel that is given.
        self._target = "" if channel else target
        self._identity = Identity(session_id, user_id, token, metadata)
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._credentials = credentials
        self._owns_channel = channel is None
        self._channel = channel or open_channel(target, credentials)
        self._stream_age_seconds = stream_age_seconds if channel is None else inf
        self._long_calls: LongCalls[_LongChannel] = LongCalls(
            self._open_long_channel,
            self._stream_age_seconds,
            MAX_CALLS if channel is None else inf,
        )
        self._submitter = Submitter(self._open_submit, self._target)
        self._submits = SubmitPolicy(os.environ)
        self._jobs = JobServiceStub(self._channel)
        self._queues = QueueServiceStub(self._channel)

    def close(self) -> None:
        """Ends the connections and the calls on them. `with` does so too."""
        self._submitter.close()
        long_channels = self._long_calls.clear()
        if self._owns_channel:
            self._channel.close()
            _close(long_channels)

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
        timeout_seconds: float | None = None,
    ) -> R:
        left = self._timeout if timeout_seconds is None else timeout_seconds
        end = self._clock() + left
        repeat = ReconnectPolicy(REPEAT_SECONDS, REPEAT_SECONDS, until=end)
        # As long as there is time for one more try: the server is there, and serves others.
        refused = ReconnectPolicy(left, left, until=end - left / 10)
        with call_span(f"jobsvc.v1.{name}") as span:
            while True:
                try:
                    return method(request, timeout=left, metadata=self._identity.headers(span))
                except grpc.RpcError as error:
                    failure = read_failure(error, self._target)
                    if is_refused(failure):
                        self._pause(refused, failure)
                    elif may_repeat(f"jobsvc.v1.{name}", error.code().name, failure):
                        self._pause(repeat, failure)
                    else:
                        raise failure from error
                left = end - self._clock()

    def _call_each(
        self, name: str, method: "grpc.UnaryUnaryMultiCallable[Q, R]", requests: Iterable[Q]
    ) -> Generator[R, None, None]:
        """Makes calls, two at a time, and yields their responses in order: while the server writes
        one, the next is on its way. After a failure none is left under way."""
        under_way: deque[Future[R]] = deque()
        with ThreadPoolExecutor(CALLS_AT_A_TIME, "jobsvc calls") as threads:
            for request in requests:
                run = contextvars.copy_context().run
                under_way.append(threads.submit(run, self._call, name, method, request))
                if len(under_way) == CALLS_AT_A_TIME:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()

    def _create(self, request: CreateJobRequest) -> CreateJobResponse:
        """Creates a job, on the stream unless it is the first, or the stream is of no use."""
        return self._create_by_either(request, follow=False)[0]

    def _create_followed(
        self, request: CreateJobRequest, wait_seconds: float | None
    ) -> tuple[CreateJobResponse, JobUpdate | None]:
        """Creates a job, and waits for its last update; None where the job has to be asked for."""
        created, ended = self._create_by_either(request, follow=True)
        if ended is None or created.existing:
            return created, None
        try:
            return created, ended.result(wait_seconds)
        except (StreamBroken, CallFailed, TimeoutError):
            return created, None
        except CancelledError:
            raise CallFailed("CANCELLED", "the client was closed") from None
        finally:
            self._submitter.unfollow(created.job.id)

    def _create_by_either(
        self, request: CreateJobRequest, follow: bool
    ) -> "tuple[CreateJobResponse, Future[JobUpdate] | None]":
        end = self._clock() + self._timeout
        if self._submits.begin(request):
            with call_span("jobsvc.v1.JobService/Submit") as span:
                job = submit_job(request, follow, *telemetry.headers(span))
                try:
                    return self._submitter.create(job, self._timeout)
                except StreamBroken as broken:
                    self._submits.broke(broken.failure)
                except CallFailed as failure:
                    if not is_repeated(failure):
                        raise
        left = end - self._clock()
        created = self._call("JobService/CreateJob", self._jobs.CreateJob, request, left)
        return created, None

    def _open_submit(self) -> Opening:
        # No span: each job has a context of its own.
        headers = self._identity.headers(trace.INVALID_SPAN)
        taken = self._long_calls.take(self._clock())
        return Opening(
            lambda requests: taken.channel[1].Submit(requests, metadata=headers),
            stream_seconds(self._stream_age_seconds, random.uniform(-1, 1)),
            lambda: self._release(taken),
        )

    @contextmanager
    def _long_call(self) -> Iterator[JobServiceStub]:
        """A stub for one call that waits."""
        taken = self._long_calls.take(self._clock())
        try:
            yield taken.channel[1]
        finally:
            self._release(taken)

    def _open_status_stream(
        self, request: StreamJobStatusRequest, silence_seconds: float
    ) -> ReplyStream[StreamJobStatusResponse]:
        taken = self._long_calls.take(self._clock())
        call = taken.channel[1].StreamJobStatus(request, metadata=self._stream_headers())
        return self._reply_stream(call, silence_seconds, taken)

    def _open_watch_stream(
        self, request: WatchJobsRequest, silence_seconds: float
    ) -> ReplyStream[WatchJobsResponse]:
        taken = self._long_calls.take(self._clock())
        call = taken.channel[1].WatchJobs(request, metadata=self._stream_headers())
        return self._reply_stream(call, silence_seconds, taken)

    def _stream_headers(self) -> tuple[tuple[str, str | bytes], ...]:
        # No span: a stream may last for days, and the jobs on it have traces of their own.
        return self._identity.headers(trace.get_current_span())

    def _reply_stream(
        self, call: StreamCall[R], silence_seconds: float, taken: LongCallChannel[_LongChannel]
    ) -> ReplyStream[R]:
        return ReplyStream(
            call,
            silence_seconds,
            stream_seconds(self._stream_age_seconds, random.uniform(-1, 1)),
            self._target,
            lambda: self._release(taken),
        )

    def _open_long_channel(self) -> _LongChannel:
        if not self._owns_channel:
            return self._channel, self._jobs
        channel = open_channel(self._target, self._credentials, own_connection=True)
        return channel, JobServiceStub(channel)

    def _release(self, taken: LongCallChannel[_LongChannel]) -> None:
        _close(self._long_calls.release(taken, self._clock()))

    def _pause(self, reconnect: ReconnectPolicy, failure: CallFailed) -> None:
        """Waits until the next try; raises `failure` when it is time to give up."""
        seconds = reconnect.pause_seconds(failure, self._clock(), random.uniform(-1, 1))
        if seconds is None:
            raise failure
        self._sleep(seconds)


def _close(channels: Sequence[_LongChannel]) -> None:
    for channel, _ in channels:
        channel.close()
