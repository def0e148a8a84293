"""A blocking stream of replies, which notices when it has gone silent, or is old."""

import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import grpc

from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import stream_silent
from jobsvc.client.long_calls import StreamAged

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class StreamCall(Protocol[R_co]):
    """The part used here of a synchronous gRPC call with a stream of replies."""

    def __next__(self) -> R_co:
        """Blocks for the next message."""

    def cancel(self) -> object:
        """Makes a blocked read fail."""


class ReplyStream(Generic[R]):
    """Reads `call`, and cancels it when a read has blocked for too long, or after `age_seconds`.

    The synchronous gRPC reader has no timeout of its own, so a thread watches
    it. The thread ends with `close()`, which calls `release`.
    """

    def __init__(
        self,
        call: StreamCall[R],
        silence_seconds: float,
        age_seconds: float,
        target: str,
        release: Callable[[], None],
    ) -> None:
        self._call = call
        self._target = target
        self._silence_seconds = silence_seconds
        self._release = release
        self._old_at = time.monotonic() + age_seconds
        # When the read in progress began. Time between reads is the caller's own, and no silence.
        self._reading_since: float | None = None
        self._answered = self._silent = self._aged = False
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._watch_reads, name="jobsvc watch", daemon=True)
        self._watch.start()

    def read(self) -> R | None:
        """Blocks for the next message; returns None when the server has ended the stream.

        Raises:
            CallFailed: the stream broke or fell silent.
            StreamAged: it should be opened again.
        """
        failure: Exception
        self._reading_since = time.monotonic()
        try:
            response = next(self._call)
        except StopIteration:
            return None
        except grpc.RpcError as error:
            failure = self._failure(error)
            error.__traceback__ = None  # It is the call itself, see `close`.
        else:
            self._answered = True
            return response
        finally:
            self._reading_since = None
        raise failure  # From here, so that it does not have the call as its context.

    def close(self) -> None:
        """Ends the call and the thread that watches it. Nothing can be read afterwards.

        No call may live until Python ends: its destructor takes a lock that a thread of gRPC may
        have held when it was stopped, and then the process never ends.
        """
        self._closed.set()
        self._call.cancel()
        self._watch.join()
        del self._call
        self._release()

    def _failure(self, error: grpc.RpcError) -> Exception:
        if self._aged:
            return StreamAged()
        if self._silent:
            return stream_silent(self._silence_seconds)
        return read_failure(error, self._target)

    def _watch_reads(self) -> None:
        limit = left = self._silence_seconds
        while True:
            young_seconds = self._old_at - time.monotonic()
            if self._closed.wait(max(0.0, min(left, young_seconds))):
                return
            since = self._reading_since
            left = limit if since is None else since + limit - time.monotonic()
            aged = time.monotonic() >= self._old_at
            self._aged = aged and self._answered
            # A server that never answers is away, however short the age is.
            self._silent = not self._aged and (left <= 0 or aged)
            if self._aged or self._silent:
                self._call.cancel()
                return
