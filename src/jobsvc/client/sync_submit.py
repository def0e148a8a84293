"""Creates jobs on a stream of `Submit`, for all threads of a client at once."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from jobsvc.client.convert.job_requests import submit_options
from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import CallFailed, Unavailable, no_answer
from jobsvc.client.unconfirmed_jobs import Unconfirmed, UnconfirmedJobs
from jobsvc.v1.job_service_pb2 import (
    CreateJobResponse,
    JobUpdate,
    SubmitJob,
    SubmitRequest,
    SubmitResponse,
)

#: Any: a `CreateJobResponse` or a `JobUpdate`.
_Future = Future[Any]


class SubmitCall(Protocol):
    """The part used here of a synchronous call of Submit."""

    def __iter__(self) -> Iterator[SubmitResponse]:
        """Its responses."""

    def cancel(self) -> object:
        """Ends it."""


@dataclass(frozen=True, slots=True)
class Opening:
    """How to open a call of Submit, how long to use it for new jobs, and what is to be done at its
    end."""

    call: Callable[[Iterator[SubmitRequest]], SubmitCall]
    age_seconds: float
    release: Callable[[], None]


class Submitter:
    """Creates jobs on a stream that `opening` opens, and on another when that one ends. Jobs that
    come while a request is being written form the next.

    gRPC watches over the connection: a server that does not answer its pings is gone after 15 s.
    """

    def __init__(self, opening: Callable[[], Opening], target: str) -> None:
        self._opening = opening
        self._target = target
        self._stream: _Stream | None = None
        self._streams: set[_Stream] = set()
        self._lock = threading.Lock()

    def create(
        self, job: SubmitJob, timeout_seconds: float
    ) -> tuple[CreateJobResponse, "Future[JobUpdate] | None"]:
        """Creates a job. For one that is followed, the future has its last update, or an exception
        as below.

        Raises:
            CallFailed: as the server says, or DeadlineExceeded.
            StreamBroken: the job may have been created.
        """
        stream, unconfirmed = self._send(job)
        try:
            return unconfirmed.created.result(timeout_seconds), unconfirmed.ended
        except TimeoutError:
            stream.give_up(unconfirmed)
            raise no_answer(self._target) from None
        except CancelledError:
            raise CallFailed("CANCELLED", "the client was closed") from None
        except KeyboardInterrupt:
            stream.give_up(unconfirmed)
            raise

    def _send(self, job: SubmitJob) -> "tuple[_Stream, Unconfirmed[_Future]]":
        with self._lock:
            stream = self._stream
            unconfirmed = stream.send(job) if stream is not None else None
            if stream is None or unconfirmed is None:
                self._streams = {stream for stream in self._streams if stream.is_running}
                self._stream = stream = _Stream(self._opening(), self._target)
                self._streams.add(stream)
                unconfirmed = stream.send(job)
                assert unconfirmed is not None, "it is new"
                stream.start()
            return stream, unconfirmed

    def unfollow(self, job_id: str) -> None:
        """Says that nobody waits for the end of a job any more."""
        with self._lock:
            for stream in self._streams:  # One that takes no more jobs may have it.
                stream.unfollow(job_id)

    def close(self) -> None:
        """Ends all streams, and cancels the creations on them."""
        with self._lock:
            streams, self._streams, self._stream = self._streams, set(), None
        for stream in streams:
            stream.close()


class _Stream:
    """One stream, with a thread that reads it; gRPC has one that writes."""

    def __init__(self, opening: Opening, target: str) -> None:
        self._target = target
        self._release = opening.release
        self._old_at = time.monotonic() + opening.age_seconds
        self._jobs: UnconfirmedJobs[_Future] = UnconfirmedJobs(Future)
        #: Guards everything here; notified when there is something to write.
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_open = False
        self._is_cancelled = False
        self._call: SubmitCall | None = opening.call(self._requests())
        self._reader = threading.Thread(target=self._read, name="jobsvc submit", daemon=True)

    def start(self) -> None:
        """Reads until the stream ends."""
        self._reader.start()

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._reader.is_alive()

    def send(self, job: SubmitJob) -> Unconfirmed[_Future] | None:
        """Sends a job as soon as the one before is written; None if it takes no more."""
        with self._changed:
            if time.monotonic() >= self._old_at:
                self._is_closed = True
            self._changed.notify()
            return None if self._is_closed else self._jobs.add(job)

    def unfollow(self, job_id: str) -> None:
        """Leaves a job alone as soon as a request can be written."""
        with self._changed:
            self._jobs.unfollow(job_id)
            self._changed.notify()

    def give_up(self, unconfirmed: Unconfirmed[_Future]) -> None:
        """Says that nobody waits for a job any more."""
        with self._changed:
            self._jobs.give_up(unconfirmed)
            self._changed.notify()

    def close(self) -> None:
        """Cancels everything."""
        self._is_cancelled = True
        with self._changed:
            call = self._call
        if call is not None:
            call.cancel()
        self._reader.join()

    def _requests(self) -> Iterator[SubmitRequest]:
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._is_closed)
        yield SubmitRequest(options=submit_options())
        while True:
            with self._changed:
                while (request := self._jobs.next_request()) is None:
                    # Half-closed, it would bring no more updates.
                    if self._is_closed and not self._jobs.is_following:
                        return
                    self._changed.wait()
            yield request

    def _read(self) -> None:
        call = self._call
        assert call is not None, "it ends here"
        failure: CallFailed = Unavailable("UNAVAILABLE", "the server has ended the stream")
        try:
            for response in call:
                with self._changed:
                    self._is_open = True
                    self._jobs.accept(response)
                    self._is_closed |= response.HasField("drain")
                    self._changed.notify()
                    if self._is_closed and self._jobs.is_empty:
                        break
        except grpc.RpcError as error:
            failure = read_failure(error, self._target)
            error.__traceback__ = None  # It is the call itself.
        finally:
            call.cancel()
            with self._changed:
                self._is_closed = True
                self._call = None  # See ReplyStream.close.
                self._jobs.fail(None if self._is_cancelled else failure)
                self._changed.notify()
            self._release()
