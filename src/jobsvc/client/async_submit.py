"""Creates jobs on a stream of `Submit`, for all tasks of a client at once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import grpc
from grpc import aio

from jobsvc.client.convert.job_requests import submit_options
from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import CallFailed, Unavailable, no_answer, stream_silent
from jobsvc.client.unconfirmed_jobs import Unconfirmed, UnconfirmedJobs
from jobsvc.v1.job_service_pb2 import (
    CreateJobResponse,
    JobUpdate,
    SubmitJob,
    SubmitRequest,
    SubmitResponse,
)

#: Without a sign of life for so long, three heartbeats, the stream counts as broken.
_SILENCE_SECONDS = 45.0

#: Any: a `CreateJobResponse` or a `JobUpdate`.
_Future = asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class OpenedCall:
    """A call of Submit, how long to use it for new jobs, and what is to be done at its end."""

    # Any: the types of the messages, which play no part here.
    call: aio.StreamStreamCall[Any, Any]
    age_seconds: float
    release: Callable[[], Awaitable[None]]


class AsyncSubmitter:
    """Creates jobs on a stream that `open_call` opens, and on another when that one ends. Jobs that
    come while a request is being written form the next."""

    def __init__(self, open_call: Callable[[], OpenedCall], target: str) -> None:
        self._open_call = open_call
        self._target = target
        self._stream: _Stream | None = None
        self._running: dict[asyncio.Task[None], _Stream] = {}

    async def create(
        self, job: SubmitJob, timeout_seconds: float
    ) -> tuple[CreateJobResponse, asyncio.Future[JobUpdate] | None]:
        """Creates a job. For one that is followed, the future has its last update, or an exception
        as below.

        Raises:
            CallFailed: as the server says, or DeadlineExceeded.
            StreamBroken: the job may have been created.
        """
        if self._stream is None or self._stream.is_closed:
            self._stream = _Stream(self._open_call(), self._target)
            task = asyncio.create_task(self._stream.run())
            self._running[task] = self._stream
            task.add_done_callback(self._running.pop)
        stream = self._stream
        unconfirmed = stream.send(job)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await unconfirmed.created, unconfirmed.ended
        except TimeoutError:
            stream.give_up(unconfirmed)
            raise no_answer(self._target) from None
        except asyncio.CancelledError:
            stream.give_up(unconfirmed)
            raise

    def unfollow(self, job_id: str) -> None:
        """Says that nobody waits for the end of a job any more."""
        for stream in self._running.values():  # One that takes no more jobs may have it.
            stream.unfollow(job_id)

    async def close(self) -> None:
        """Ends all streams, and cancels the creations on them."""
        self._stream = None
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class _Stream:
    """One stream."""

    def __init__(self, opened: OpenedCall, target: str) -> None:
        self._opened = opened
        self._call = opened.call
        self._target = target
        self._jobs: UnconfirmedJobs[_Future] = UnconfirmedJobs(
            asyncio.get_running_loop().create_future
        )
        self._has_unsent = asyncio.Event()
        self._is_open = asyncio.Event()
        #: It takes no more jobs.
        self.is_closed = False

    def send(self, job: SubmitJob) -> Unconfirmed[_Future]:
        """Sends a job as soon as the one before is written."""
        unconfirmed = self._jobs.add(job)
        self._has_unsent.set()
        return unconfirmed

    def unfollow(self, job_id: str) -> None:
        """Leaves a job alone as soon as a request can be written."""
        if self._jobs.unfollow(job_id):
            self._has_unsent.set()

    def give_up(self, unconfirmed: Unconfirmed[_Future]) -> None:
        """Says that nobody waits for a job any more."""
        self._jobs.give_up(unconfirmed)
        self._has_unsent.set()

    def retire(self) -> None:
        """Takes no more jobs, and ends when those it has are done."""
        self.is_closed = True
        self._has_unsent.set()

    async def run(self) -> None:
        """Serves the jobs until the stream ends."""
        failure: CallFailed | None = None  # The client is being closed.
        writing = asyncio.create_task(self._write())
        aging = asyncio.get_running_loop().call_later(self._opened.age_seconds, self.retire)
        try:
            await self._read()
            failure = Unavailable("UNAVAILABLE", "the server has ended the stream")
        except TimeoutError:
            failure = stream_silent(_SILENCE_SECONDS)
        except grpc.RpcError as error:
            failure = read_failure(error, self._target)
        finally:
            self.is_closed = True
            aging.cancel()
            writing.cancel()
            self._call.cancel()
            self._jobs.fail(failure)
            with suppress(asyncio.CancelledError):
                await writing
            await self._opened.release()

    async def _write(self) -> None:
        # gRPC loses the status of a call that ends while something is written to it. Most that end
        # early do so at once.
        await self._is_open.wait()
        try:
            await self._call.write(SubmitRequest(options=submit_options()))
            while not self.is_closed:
                await self._has_unsent.wait()
                self._has_unsent.clear()
                while (request := self._jobs.next_request()) is not None:
                    await self._call.write(request)
            if not self._jobs.is_following:  # Half-closed, it would bring no more updates.
                await self._call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # Reading says why.

    async def _read(self) -> None:
        while True:
            async with asyncio.timeout(_SILENCE_SECONDS):
                read = await self._call.read()
            if read is aio.EOF:
                return
            self._is_open.set()
            # A cast: the type checker cannot tell a sentinel from the rest by `is`.
            response = cast(SubmitResponse, read)
            self._jobs.accept(response)
            self._has_unsent.set()  # Jobs to be left alone.
            if response.HasField("drain"):
                self.retire()
            if self.is_closed and self._jobs.is_empty:
                return
