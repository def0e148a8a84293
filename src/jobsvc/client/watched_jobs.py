"""Where a watch goes on after a break, and which updates are new. Pure: the clients do the I/O."""

from collections.abc import Callable
from datetime import datetime

from jobsvc.client.convert.job_replies import read_update
from jobsvc.client.convert.list_requests import watch_request
from jobsvc.client.errors import Unavailable
from jobsvc.client.followed_jobs import SILENT_HEARTBEATS
from jobsvc.client.job import JobUpdate
from jobsvc.client.job_filter import JobFilter
from jobsvc.v1 import job_service_pb2

#: Jobs whose last update is remembered, to drop it when it comes again.
_MAX_SEEN = 10_000


class WatchedJobs:
    """One `watch`: its filter, its place in the changes, and the last updates."""

    def __init__(
        self,
        wanted: JobFilter,
        full: bool,
        changes_only: bool,
        heartbeat_seconds: float,
        on_synced: Callable[[], object] | None,
    ) -> None:
        """`on_synced` is called once, when all jobs have been reported."""
        self._request = watch_request(wanted, full, changes_only, heartbeat_seconds)
        self._heartbeat_seconds = heartbeat_seconds
        self._on_synced = on_synced
        #: Version and time by job, in the order in which they came.
        self._seen: dict[str, tuple[int, datetime | None]] = {}

    @property
    def silence_seconds(self) -> float:
        """The silence after which a stream counts as lost."""
        return SILENT_HEARTBEATS * self._heartbeat_seconds

    def request(self) -> job_service_pb2.WatchJobsRequest:
        """Returns the request that begins, or goes on after the last bookmark."""
        return self._request

    def accept(self, response: job_service_pb2.WatchJobsResponse | None) -> JobUpdate | None:
        """Returns the update in a message of the stream; None when there is none, or it repeats the
        last one of its job.

        Raises:
            Unavailable: the stream ended (`response` is None), which it never does by itself.
        """
        if response is None:
            raise Unavailable("UNAVAILABLE", "the watch ended")
        update = read_update(response.update) if response.HasField("update") else None
        if response.bookmark:
            self._request.bookmark = response.bookmark
        if response.HasField("synced") and self._on_synced is not None:
            self._on_synced()
            self._on_synced = None
        return update if update is not None and self._is_new(update) else None

    def _is_new(self, update: JobUpdate) -> bool:
        latest = update.status.version, update.status.update_time
        if self._seen.pop(update.job_id, None) == latest:
            self._seen[update.job_id] = latest
            return False
        self._seen[update.job_id] = latest
        if len(self._seen) > _MAX_SEEN:
            del self._seen[next(iter(self._seen))]
        return True
