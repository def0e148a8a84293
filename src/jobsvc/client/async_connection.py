"""How `AsyncClient` reaches its server. `sync_connection.py` does the same for blocking code."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import grpc
from grpc import aio
from opentelemetry import trace

from jobsvc.client.async_reply_stream import AsyncReplyStream
from jobsvc.client.call_span import call_span
from jobsvc.client.channel import channel_options
from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import CallFailed
from jobsvc.client.identity import Identity
from jobsvc.client.reconnect import REPEAT_SECONDS, ReconnectPolicy, is_refused, may_repeat
from jobsvc.domain.target import check_target
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub

if TYPE_CHECKING:
    from jobsvc.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from jobsvc.v1.queue_service_pb2_grpc import QueueServiceAsyncStub

Q = TypeVar("Q")
R = TypeVar("R")


class AsyncConnection:
    """A channel with its stubs, and how one call is made on it. `AsyncClient` adds the calls."""

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
        channel: aio.Channel | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        check_target(target)
        #: Unknown for a channel that is given.
        self._target = "" if channel else target
        self._credentials = credentials
        self._identity = Identity(session_id, user_id, token, metadata)
        self._timeout = timeout
        self._channel = channel
        self._owns_channel = channel is None
        self._stubs: tuple[JobServiceAsyncStub, QueueServiceAsyncStub] | None = None
        self._clock = clock
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        # Not in the constructor: a channel belongs to the event loop that it was made in.
        channel = self._channel
        if channel is None:
            options = channel_options(self._target)
            channel = self._channel = (
                aio.secure_channel(self._target, self._credentials, options)
                if self._credentials
                else aio.insecure_channel(self._target, options)
            )
        self._stubs = (JobServiceStub(channel), QueueServiceStub(channel))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stubs = None
        if self._owns_channel and self._channel is not None:
            await self._channel.close()
            self._channel = None

    @property
    def _jobs(self) -> "JobServiceAsyncStub":
        return self._open_stubs()[0]

    @property
    def _queues(self) -> "QueueServiceAsyncStub":
        return self._open_stubs()[1]

    def _open_stubs(self) -> "tuple[JobServiceAsyncStub, QueueServiceAsyncStub]":
        if self._stubs is None:
            raise RuntimeError(f"{type(self).__name__} is not open: call it within `async with`")
        return self._stubs

    async def _call(
        self,
        name: str,
        method: aio.UnaryUnaryMultiCallable[Q, R],
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
                    return await method(
                        request, timeout=left, metadata=self._identity.headers(span)
                    )
                except grpc.RpcError as error:
                    failure = read_failure(error, self._target)
                    if is_refused(failure):
                        await self._pause(refused, failure)
                    elif may_repeat(f"jobsvc.v1.{name}", error.code().name, failure):
                        await self._pause(repeat, failure)
                    else:
                        raise failure from error
                left = end - self._clock()

    def _open_stream(
        self, method: aio.UnaryStreamMultiCallable[Q, R], request: Q, silence_seconds: float
    ) -> AsyncReplyStream[R]:
        # No span: a stream may last for days, and the jobs on it have traces of their own.
        headers = self._identity.headers(trace.get_current_span())
        return AsyncReplyStream(method(request, metadata=headers), silence_seconds, self._target)

    async def _pause(self, reconnect: ReconnectPolicy, failure: CallFailed) -> None:
        """Waits until the next try; raises `failure` when it is time to give up."""
        seconds = reconnect.pause_seconds(failure, self._clock(), random.uniform(-1, 1))
        if seconds is None:
            raise failure
        await self._sleep(seconds)
