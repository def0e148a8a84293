"""A blocking stream of replies, which notices when it has gone silent."""

import threading
import time
from typing import Generic, Protocol, TypeVar

import grpc

from jobsvc.client.error_details import read_failure
from jobsvc.client.errors import stream_silent

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class StreamCall(Protocol[R_co]):
    """The part used here of a synchronous gRPC call with a stream of replies."""

    def __next__(self) -> R_co:
        """Blocks for the next message."""

    def cancel(self) -> object:
        """Makes a blocked read fail."""


class ReplyStream(Generic[R]):
    """Reads `call`, and cancels it when a read has blocked for too long.

    The synchronous gRPC reader has no timeout of its own, so a thread watches
    it. The thread ends with `close()`.
    """

    def __init__(self, call: StreamCall[R], silence_seconds: float, target: str) -> None:
        self._call = call
        self._target = target
        self._silence_seconds = silence_seconds
        # When the read in progress began. Time between reads is the caller's own, and no silence.
        self._reading_since: float | None = None
        self._silent = False
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._watch_reads, name="jobsvc watch", daemon=True)
        self._watch.start()

    def read(self) -> R | None:
        """Blocks for the next message; returns None when the server has ended the stream.

        Raises:
            CallFailed: the stream broke or fell silent.
        """
        self._reading_since = time.monotonic()
        try:
            return next(self._call)
        except StopIteration:
            return None
        except grpc.RpcError as error:
            if self._silent:
                raise stream_silent(self._silence_seconds) from error
            raise read_failure(error, self._target) from error
        finally:
            self._reading_since = None

    def close(self) -> None:
        """Ends the call and the thread that watches it."""
        self._closed.set()
        self._call.cancel()
        self._watch.join()

    def _watch_reads(self) -> None:
        limit = self._silence_seconds
        left = limit
        while not self._closed.wait(left):
            since = self._reading_since
            left = limit if since is None else since + limit - time.monotonic()
            if left <= 0:
                self._silent = True
                self._call.cancel()
                return
