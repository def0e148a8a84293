"""Creates jobs on a stream of `Submit`, for all tasks of a client at once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import grpc
from grpc import aio

from jobsvc.client.convert.job_requests import submit_options
from jobsvc.client.error_details import read_failure, read_job_failure
from jobsvc.client.errors import CallFailed, DeadlineExceeded, Unavailable, stream_silent
from jobsvc.v1.job_service_pb2 import (
    CreateJobResponse,
    JobUpdate,
    SubmitJob,
    SubmitRequest,
    SubmitResponse,
)

#: Most jobs and bytes of one request, so that the next is written while this one is read.
_MAX_JOBS = 1000
_MAX_BYTES = 1 << 20
_HEARTBEAT_SECONDS = 15.0
#: Without a sign of life for so long the stream counts as broken.
_SILENCE_SECONDS = 3 * _HEARTBEAT_SECONDS

#: Any: the types of the messages, which play no part where a call is only opened and closed.
Call = aio.StreamStreamCall[Any, Any]


class StreamBroken(Exception):
    """The stream ended before the result of a job, because of a failure."""

    def __init__(self, failure: CallFailed) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(slots=True, eq=False)
class _Unconfirmed:
    """A job without a result."""

    job: SubmitJob
    created: asyncio.Future[CreateJobResponse]
    #: For a job that is followed: its last update.
    ended: "asyncio.Future[JobUpdate] | None" = None


@dataclass(slots=True)
class OpenedCall:
    """A call of Submit, and what is to be done at its end."""

    call: Call
    age_seconds: float
    release: Callable[[], Awaitable[None]]


class AsyncSubmitter:
    """Creates jobs on a stream that `open_call` opens, and on another when that one ends. Jobs that
    come while a request is being written form the next."""

    def __init__(self, open_call: Callable[[], OpenedCall], target: str) -> None:
        self._open_call = open_call
        self._target = target
        self._stream: _Stream | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._tag = 0

    async def create(
        self, job: SubmitJob, timeout_seconds: float
    ) -> "tuple[CreateJobResponse, asyncio.Future[JobUpdate] | None]":
        """Creates a job; its tag is set here. For one that is followed, the future has its last
        update, or an exception as below.

        Raises:
            CallFailed: as the server says, or DeadlineExceeded.
            StreamBroken: the job may have been created.
        """
        unconfirmed = self._send(job)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await unconfirmed.created, unconfirmed.ended
        except TimeoutError:
            raise DeadlineExceeded(
                "DEADLINE_EXCEEDED", f"no answer from {self._target or 'the server'} in time"
            ) from None

    def _send(self, job: SubmitJob) -> _Unconfirmed:
        if self._stream is None or self._stream.is_closed:
            self._stream = _Stream(self._open_call(), self._target)
            task = asyncio.create_task(self._stream.run())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        self._tag += 1
        job.tag = self._tag
        return self._stream.send(job)

    async def close(self) -> None:
        """Ends all streams. Jobs without a result fail."""
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
        #: Jobs without a result, by their tags; and those of them that have not been written.
        self._unconfirmed: dict[int, _Unconfirmed] = {}
        self._unsent: list[SubmitJob] = []
        self._followed: dict[str, asyncio.Future[JobUpdate]] = {}
        self._has_unsent = asyncio.Event()
        self._is_open = asyncio.Event()
        #: It takes no more jobs.
        self.is_closed = False

    def send(self, job: SubmitJob) -> _Unconfirmed:
        loop = asyncio.get_running_loop()
        unconfirmed = _Unconfirmed(
            job, loop.create_future(), loop.create_future() if job.follow else None
        )
        self._unconfirmed[job.tag] = unconfirmed
        self._unsent.append(job)
        self._has_unsent.set()
        return unconfirmed

    async def run(self) -> None:
        """Serves the jobs until the stream ends, which fails those without a result."""
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
            self._fail(failure)
            with suppress(asyncio.CancelledError):
                await writing
            await self._opened.release()

    def _fail(self, failure: CallFailed | None) -> None:
        futures: list[asyncio.Future[Any]] = [
            *(each.created for each in self._unconfirmed.values()),
            *self._followed.values(),
        ]
        for future in futures:
            if failure is None:
                future.cancel()
            elif not future.done():
                future.set_exception(StreamBroken(failure))
                future.exception()  # Whoever waits for it hears of it; nobody may.

    # Writing.

    def retire(self) -> None:
        """Takes no more jobs, and ends when those it has are done."""
        self.is_closed = True
        self._has_unsent.set()

    async def _write(self) -> None:
        # gRPC loses the status of a call that ends while something is written to it. Most that end
        # early do so at once.
        await self._is_open.wait()
        try:
            await self._call.write(SubmitRequest(options=submit_options()))
            while not self.is_closed:
                await self._has_unsent.wait()
                self._has_unsent.clear()
                await self._write_unsent()
            await self._write_unsent()
            follows = any(each.job.follow for each in self._unconfirmed.values())
            if not follows and not self._followed:  # Half-closed, it would send no more updates.
                await self._call.done_writing()
        except (grpc.RpcError, asyncio.InvalidStateError):
            pass  # Reading says why.

    async def _write_unsent(self) -> None:
        while self._unsent:
            count = size_bytes = 0
            for job in self._unsent[:_MAX_JOBS]:
                size_bytes += len(job.request.spec.input.json_text)
                if count and size_bytes > _MAX_BYTES:
                    break
                count += 1
            jobs = self._unsent[:count]
            del self._unsent[:count]
            # Who waited for one of the others has given up.
            jobs = [job for job in jobs if self._is_wanted(job)]
            if jobs:
                await self._call.write(SubmitRequest(jobs=jobs))

    def _is_wanted(self, job: SubmitJob) -> bool:
        if not self._unconfirmed[job.tag].created.done():
            return True
        del self._unconfirmed[job.tag]
        return False

    # Reading.

    async def _read(self) -> None:
        while True:
            async with asyncio.timeout(_SILENCE_SECONDS):
                read = await self._call.read()
            if read is aio.EOF:
                return
            # A cast: the type checker cannot tell a sentinel from the rest by `is`.
            response = cast(SubmitResponse, read)
            self._is_open.set()
            for result in response.results:
                unconfirmed = self._unconfirmed.pop(result.tag, None)
                if unconfirmed is None:
                    continue
                if result.HasField("error"):
                    if not unconfirmed.created.done():
                        unconfirmed.created.set_exception(read_job_failure(result.error))
                    continue
                if unconfirmed.ended is not None:
                    self._followed[result.created.job.id] = unconfirmed.ended
                if not unconfirmed.created.done():
                    unconfirmed.created.set_result(result.created)
            for update in response.updates:
                if update.status.HasField("end_time"):
                    self._end(update.job_id, update)
            for gone in response.follow_failures:
                self._end(gone.job_id, read_job_failure(gone.error))
            if response.HasField("drain"):
                self.retire()
            if self.is_closed and not self._unconfirmed and not self._followed:
                return

    def _end(self, job_id: str, end: "JobUpdate | CallFailed") -> None:
        ended = self._followed.pop(job_id, None)
        if ended is None or ended.done():
            return
        if isinstance(end, CallFailed):
            ended.set_exception(end)
        else:
            ended.set_result(end)
