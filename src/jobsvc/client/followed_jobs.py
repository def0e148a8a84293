"""Which jobs are left to follow, and which statuses are new. Pure: the clients do the I/O."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from jobsvc.client.convert.job_replies import read_update
from jobsvc.client.convert.job_requests import stream_request
from jobsvc.client.errors import Unavailable
from jobsvc.client.job import JobUpdate
from jobsvc.domain.status_news import is_news
from jobsvc.v1 import job_service_pb2

#: A stream that says nothing for this many heartbeats is lost.
SILENT_HEARTBEATS = 3


class FollowedJobs:
    """The jobs of one `follow` that have not ended, with the last status seen of each."""

    def __init__(self, job_ids: Iterable[str | UUID], heartbeat_seconds: float) -> None:
        #: Version and time; a database that went back gives out the same versions again.
        self._seen: dict[str, tuple[int, datetime | None]] = {
            str(job_id): (0, None) for job_id in job_ids
        }
        self._heartbeat_seconds = heartbeat_seconds

    @property
    def all_ended(self) -> bool:
        """Whether every job has ended."""
        return not self._seen

    @property
    def silence_seconds(self) -> float:
        """The silence after which a stream counts as lost."""
        return SILENT_HEARTBEATS * self._heartbeat_seconds

    def request(self) -> job_service_pb2.StreamJobStatusRequest:
        """Returns the request that follows the jobs which have not ended."""
        return stream_request(self._seen, self._heartbeat_seconds)

    def accept(self, response: job_service_pb2.StreamJobStatusResponse | None) -> JobUpdate | None:
        """Returns the update in a message of the stream; None when there is none, or it repeats the
        last one.

        Raises:
            Unavailable: the stream ended (`response` is None) although jobs are left.
        """
        if response is None:
            text = f"the status stream ended before {len(self._seen)} of its jobs"
            raise Unavailable("UNAVAILABLE", text)
        if not response.HasField("update"):
            return None
        update = read_update(response.update)
        status, seen = update.status, self._seen.get(update.job_id)
        latest = status.version, status.update_time
        if seen is None or not is_news(seen, latest, status.ended):
            return None
        if status.ended:
            del self._seen[update.job_id]
        else:
            self._seen[update.job_id] = latest
        return update
