"""The last changes that a replica has passed on to watchers, in memory that is bounded."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from jobsvc.domain.job import JobState
from jobsvc.jobs.watcher import UpdateForm

#: Jobs whose version is remembered; beyond, a change is passed on twice.
_MAX_KNOWN = 100_000
#: Written updates that are kept, and their bytes; beyond, each watcher reads the job again.
_MAX_WRITTEN = 10_000
_MAX_WRITTEN_BYTES = 8 << 20


class WrittenUpdate(msgspec.Struct, frozen=True):
    """The latest update of a job as it is sent, in those forms that somebody wants."""

    state: JobState
    texts: Mapping[UpdateForm, bytes]

    @property
    def size_bytes(self) -> int:
        """Bytes that it takes."""
        return sum(map(len, self.texts.values()))


class LatestUpdates:
    """What is known of the jobs that changed last."""

    def __init__(
        self,
        max_known: int = _MAX_KNOWN,
        max_written: int = _MAX_WRITTEN,
        max_written_bytes: int = _MAX_WRITTEN_BYTES,
    ) -> None:
        self._max_known = max_known
        self._max_written = max_written
        self._max_written_bytes = max_written_bytes
        #: A database that went back gives out the same versions again, at another time.
        self._known: dict[str, tuple[int, datetime]] = {}
        self._written: dict[str, WrittenUpdate] = {}
        self._written_bytes = 0

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._known

    def version(self, job_id: str) -> int:
        """Returns the version of a job that was noted last; 0 if none is known."""
        known = self._known.get(job_id)
        return 0 if known is None else known[0]

    def is_known(self, job_id: str, version: int, update_time: datetime) -> bool:
        """Whether this status of a job was the last to be noted."""
        return self._known.get(job_id) == (version, update_time)

    def note(self, job_id: str, version: int, update_time: datetime) -> None:
        """Notes a status that concerns nobody who was there before. It replaces any update."""
        self.forget(job_id)
        self._known[job_id] = version, update_time
        if len(self._known) > self._max_known:
            self.forget(next(iter(self._known)))

    def keep(
        self, job_id: str, version: int, update_time: datetime, written: WrittenUpdate
    ) -> None:
        """Notes a status, and keeps its update for those who are about to send it."""
        self.note(job_id, version, update_time)
        self._written[job_id] = written
        self._written_bytes += written.size_bytes
        while (
            len(self._written) > self._max_written or self._written_bytes > self._max_written_bytes
        ):
            self._drop_written(next(iter(self._written)))

    def written(self, job_id: str) -> WrittenUpdate | None:
        """Returns the latest update of a job, if it is still kept."""
        return self._written.get(job_id)

    def forget(self, job_id: str) -> None:
        """Forgets a job."""
        self._known.pop(job_id, None)
        self._drop_written(job_id)

    def known(self) -> list[str]:
        """Returns all jobs whose version is remembered."""
        return list(self._known)

    def clear(self) -> None:
        """Forgets all."""
        self._known.clear()
        self._written.clear()
        self._written_bytes = 0

    def _drop_written(self, job_id: str) -> None:
        written = self._written.pop(job_id, None)
        if written is not None:
            self._written_bytes -= written.size_bytes
