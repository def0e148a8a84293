"""The client for code that blocks. Generated from async_watch_calls.py: do not edit."""

from collections.abc import Callable, Generator
from typing import Unpack

from jobsvc.client.errors import CallFailed
from jobsvc.client.job import JobUpdate
from jobsvc.client.job_filter import JobFilter
from jobsvc.client.long_calls import StreamAged
from jobsvc.client.reconnect import ReconnectPolicy
from jobsvc.client.sync_connection import Connection
from jobsvc.client.sync_reply_stream import ReplyStream
from jobsvc.client.watched_jobs import WatchedJobs
from jobsvc.v1.job_service_pb2 import WatchJobsResponse


class WatchCalls(Connection):
    """How a client watches jobs that it does not know yet. `Client` has it."""

    def watch(
        self,
        *,
        full: bool = False,
        changes_only: bool = False,
        on_synced: Callable[[], object] | None = None,
        heartbeat_seconds: float = 15.0,
        reconnect_seconds: float = 60.0,
        **wanted: Unpack[JobFilter],
    ) -> Generator[JobUpdate, None, None]:
        """Yields the status of each job that matches and that the caller may see, then each newer
        one, also of jobs that are created later, without end.

        `on_synced` is called when all jobs have been yielded as they were at first; with
        `changes_only` they are left out. Outputs come with `full`. Statuses between may be
        skipped, the last one of a job never is, unless the job does not match any more. Breaks of
        the stream do not show, whichever replica goes on: nothing is lost by them, and what was
        yielded may come again if more than 10,000 jobs have changed since. A stream counts as
        broken when nothing, not even a heartbeat (every 5 to 300 seconds), has come for three
        heartbeats. While the server is away, the watch goes on for up to `reconnect_seconds`, or
        for the timeout of a call if the server has never answered.

        Leave the loop early under `contextlib.closing`, to end the stream at once.

        Raises:
            InvalidRequest: a condition is out of its range.
            Unavailable: the server stayed away.
            ValueError: a state is unknown.
        """
        watched = WatchedJobs(wanted, full, changes_only, heartbeat_seconds, on_synced)
        reconnect = ReconnectPolicy(self._timeout, reconnect_seconds)
        stream: ReplyStream[WatchJobsResponse] | None = None
        try:
            while True:
                if stream is None:
                    stream = self._open_watch_stream(watched.request(), watched.silence_seconds)
                try:
                    update = watched.accept(stream.read())
                except StreamAged:
                    stream.close()
                    stream = None
                    continue
                except CallFailed as failure:
                    stream.close()
                    stream = None
                    self._pause(reconnect, failure)
                    continue
                reconnect.answered()
                if update is not None:
                    yield update
        finally:
            if stream is not None:
                stream.close()
