"""What the log says of the workers of this replica: they connect, drain, leave or are lost."""

import logging
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from itertools import islice

from jobsvc.dispatch.connected_worker import ConnectedWorker
from jobsvc.domain.errors import CredentialsInvalid, JobsvcError, WorkerReplaced
from jobsvc.domain.lease import LeaseId
from jobsvc.event_log import MAX_NAMES, EventLog, some


class WorkerLog:
    """One line an event."""

    def __init__(self, acknowledge_seconds: float) -> None:
        self._acknowledge_seconds = acknowledge_seconds
        self._log = EventLog(logging.getLogger(__name__))
        self.tell_missed = self._log.tell_missed

    def connected(self, worker: ConnectedWorker) -> None:
        """A worker has subscribed, perhaps with leases that it had."""
        info = worker.info
        jobs, fields = _held(worker, worker.leases)
        self._log.tell(
            logging.INFO,
            "worker_connected",
            "worker %s (%s) connected from %s: window %d, queues %s; it holds %s",
            info.worker_id,
            " ".join(filter(None, (info.sdk, info.version))) or "no version named",
            worker.peer,
            info.window,
            some(info.queues, len(info.queues)),
            jobs,
            queues=info.queues,
            window=info.window,
            sdk=info.sdk,
            version=info.version,
            **fields,
        )

    def forgot(self, worker: ConnectedWorker, lease_ids: Collection[LeaseId]) -> None:
        """A worker that subscribes does not name leases that were given to it."""
        if lease_ids:
            jobs, fields = _held(worker, lease_ids)
            message = "worker %s begins without %s that it had; they go back to their queues"
            self._log.tell(
                logging.WARNING, "worker_forgot", message, worker.worker_id, jobs, **fields
            )

    def drains(self, worker: ConnectedWorker) -> None:
        """A worker takes no more jobs."""
        jobs, fields = _held(worker, worker.leases)
        message = "worker %s drains: it takes no more jobs, and holds %s"
        self._log.tell(logging.INFO, "worker_drains", message, worker.worker_id, jobs, **fields)

    def ended(self, worker: ConnectedWorker, error: BaseException | None) -> None:
        """The stream of a worker has ended: by `error`, or because the worker ended it. Must be
        called while the worker has its leases."""
        jobs, fields = _held(worker, worker.leases)
        text = "".join((jobs, *self._fate(worker)))
        values = [worker.worker_id, text]
        level, event, message = logging.INFO, "worker_left", "worker %s left; it held %s"
        if isinstance(error, WorkerReplaced):
            event, message = "worker_replaced", "worker %s has another stream; this one held %s"
            values[1] = jobs
        elif worker.draining:
            event, message = "worker_sent_away", "worker %s was sent away; it held %s"
        elif worker.comes_back and error is None:
            event, message = "worker_comes_back", "worker %s opens another stream; it holds %s"
            values[1] = jobs
        elif isinstance(error, CredentialsInvalid):
            event = "worker_credentials_ended"
            message = "worker %s must show credentials anew; it holds %s"
        elif isinstance(error, JobsvcError):
            level, event = logging.WARNING, "worker_refused"
            message = "worker %s was refused: %s; it held %s"
            values.insert(1, error.message)
        elif error is not None or len(worker.leases) > len(worker.undelivered):
            level, event = logging.WARNING, "worker_lost"
            message = "worker %s is lost: its stream broke off; it held %s"
        if worker.leases:
            end = _later(worker.longest_lease_seconds)
            fields["leases_end_by"] = end.isoformat(timespec="seconds")
        self._log.tell(level, event, message, *values, **fields)

    def _fate(self, worker: ConnectedWorker) -> Iterator[str]:
        """What has become of the jobs of a worker, and what will."""
        if worker.handed_back:
            yield f"; {worker.handed_back} were handed back"
        unsent = len(worker.undelivered)
        if unsent:
            yield f"; {unsent} that were never sent go back to their queues"
        unacknowledged = sum(
            len(ids & worker.leases.keys()) for _, ids in worker.awaiting_acknowledgement()
        )
        if unacknowledged:
            end = _clock(self._acknowledge_seconds)
            yield f"; {unacknowledged} that it may not have received go back by {end}"
        if leased := len(worker.leases) - unsent - unacknowledged:
            end = _clock(worker.longest_lease_seconds)
            yield f"; the leases of {leased} end by {end} unless it comes back"


def _held(worker: ConnectedWorker, lease_ids: Collection[LeaseId]) -> tuple[str, dict[str, object]]:
    """The jobs of a worker in words, and the fields of every line about it."""
    count = len(lease_ids)
    job_ids = [lease_id.job_id for lease_id in islice(lease_ids, MAX_NAMES)]
    fields: dict[str, object] = {
        "worker_id": worker.worker_id,
        "peer": worker.peer,
        "job_count": count,
        "job_ids": job_ids,
        "handed_back": worker.handed_back,
    }
    plural = "" if count == 1 else "s"
    return (f"{count} job{plural} ({some(job_ids, count)})" if count else "no job"), fields


def _later(seconds: float) -> datetime:
    return datetime.fromtimestamp(time.time() + seconds, UTC)


def _clock(seconds: float) -> str:
    """The time in so many seconds, on the clock that the lines of the log show."""
    return f"{_later(seconds).astimezone():%H:%M:%S}"
