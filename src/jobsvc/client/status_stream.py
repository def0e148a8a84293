"""One connection of `Client.follow`: a blocking stream that notices when it has gone silent."""

import threading
import time
from typing import Protocol

import grpc

from jobsvc.client.error_details import read_failure
from jobsvc.client.following import Following
from jobsvc.v1.job_service_pb2 import StreamJobStatusResponse


class StreamCall(Protocol):
    """What a synchronous gRPC call with a stream of replies can do."""

    def __next__(self) -> StreamJobStatusResponse:
        """Blocks for the next message."""

    def cancel(self) -> object:
        """Makes a blocked read fail."""


class StatusStream:
    """Reads `call`, and cancels it when a read has blocked for too long.

    The synchronous gRPC reader has no timeout of its own, so a thread watches
    it. The thread ends with `close()`.
    """

    def __init__(self, call: StreamCall, following: Following) -> None:
        self._call = call
        self._following = following
        # When the read in progress began. Time between reads is the caller's own, and no silence.
        self._reading_since: float | None = None
        self._silent = False
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._watch_reads, name="jobsvc watch", daemon=True)
        self._watch.start()

    def read(self) -> StreamJobStatusResponse:
        """Blocks for the next message.

        Raises:
            CallFailed: the stream broke, fell silent, or ended too soon.
        """
        self._reading_since = time.monotonic()
        try:
            return next(self._call)
        except StopIteration:
            raise self._following.ended_early() from None
        except grpc.RpcError as error:
            raise (self._following.silent() if self._silent else read_failure(error)) from error
        finally:
            self._reading_since = None

    def close(self) -> None:
        """Gives the call back."""
        self._closed.set()
        self._call.cancel()
        self._watch.join()

    def _watch_reads(self) -> None:
        limit = self._following.silence_seconds
        left = limit
        while not self._closed.wait(left):
            since = self._reading_since
            left = limit if since is None else since + limit - time.monotonic()
            if left <= 0:
                self._silent = True
                self._call.cancel()
                return
