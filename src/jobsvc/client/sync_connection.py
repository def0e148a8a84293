"""How `Client` reaches its server. `async_connection.py` does the same for asyncio."""

import random
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

import grpc
from opentelemetry import trace

from jobsvc.client.call_span import call_span
from jobsvc.client.channel import channel_options
from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import CallFailed
from jobsvc.client.identity import Identity
from jobsvc.client.reconnect import REPEAT_SECONDS, ReconnectPolicy, is_refused, may_repeat
from jobsvc.client.sync_reply_stream import ReplyStream
from jobsvc.domain.target import check_target
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub

Q = TypeVar("Q")
R = TypeVar("R")


class Connection:
    """A channel with its stubs, and how one call is made on it. `Client` adds the calls."""

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
        check_target(target)
        #: Unknown for a channel that is given.
        self._target = "" if channel else target
        self._identity = Identity(session_id, user_id, token, metadata)
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._own_channel: grpc.Channel | None = None
        if channel is None:
            options = channel_options(target)
            channel = self._own_channel = (
                grpc.secure_channel(target, credentials, options)
                if credentials
                else grpc.insecure_channel(target, options)
            )
        self._jobs = JobServiceStub(channel)
        self._queues = QueueServiceStub(channel)

    def close(self) -> None:
        """Ends the connection and the calls on it. `with` does so too."""
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

    def _open_stream(
        self, method: "grpc.UnaryStreamMultiCallable[Q, R]", request: Q, silence_seconds: float
    ) -> ReplyStream[R]:
        # No span: a stream may last for days, and the jobs on it have traces of their own.
        headers = self._identity.headers(trace.get_current_span())
        return ReplyStream(method(request, metadata=headers), silence_seconds, self._target)

    def _pause(self, reconnect: ReconnectPolicy, failure: CallFailed) -> None:
        """Waits until the next try; raises `failure` when it is time to give up."""
        seconds = reconnect.pause_seconds(failure, self._clock(), random.uniform(-1, 1))
        if seconds is None:
            raise failure
        self._sleep(seconds)
