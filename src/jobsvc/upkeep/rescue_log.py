"""What the log says of rescued jobs: whose they were, why, and what has become of them."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from jobsvc.domain.job import JobState
from jobsvc.domain.lapse import Lapse
from jobsvc.domain.lease import LeaseId
from jobsvc.domain.outcome import Finish
from jobsvc.event_log import MAX_NAMES, EventLog, some
from jobsvc.jobs.settle import DecidedEnd

_CAUSES = {
    Lapse.LEASE_EXPIRED: "the lease has expired",
    Lapse.ATTEMPT_TIMEOUT: "the attempt has run out of time",
    Lapse.CANCEL_GRACE: "it has not stopped after a cancellation",
}


class _Group(NamedTuple):
    """What jobs of one line have in common; `next_attempt` 0 for a job that has ended."""

    queue: str
    worker_id: str
    cause: Lapse
    state: JobState
    next_attempt: int


class RescueLog:
    """A line for the jobs of a worker and a queue that had the same fate."""

    def __init__(self) -> None:
        self._log = EventLog(logging.getLogger(__name__))
        #: The leases that were left alone at the last look.
        self._excused: frozenset[LeaseId] = frozenset()

    def rescued(self, decided: Iterable[DecidedEnd], ended: Collection[LeaseId]) -> None:
        """The leases that have `ended`, of those for which that was `decided`."""
        self._log.tell_missed()
        for group, job_ids in _groups(decided, set(ended)).items():
            name = group.state.name
            fate = f"retried as attempt {group.next_attempt}" if group.next_attempt else name
            self._log.tell(
                logging.WARNING,
                "jobs_rescued",
                "rescued %d of queue %s from worker %s, since %s: %s (%s)",
                len(job_ids),
                group.queue,
                group.worker_id,
                _CAUSES[group.cause],
                fate,
                some(job_ids, len(job_ids)),
                queue=group.queue,
                worker_id=group.worker_id,
                reason=group.cause.value,
                state=name,
                next_attempt=group.next_attempt or None,
                job_count=len(job_ids),
                job_ids=job_ids[:MAX_NAMES],
            )

    def excused(self, leases: Iterable[LeaseId]) -> None:
        """All leases that one look has found run out, and left alone because of an outage."""
        before, self._excused = self._excused, frozenset(leases)
        new = [lease.job_id for lease in self._excused - before]
        if new:
            self._log.tell(
                logging.INFO,
                "leases_excused",
                "left %d leases alone that ran out over an outage: their workers may still come"
                " back (%s)",
                len(new),
                some(new, len(new)),
                job_count=len(new),
                job_ids=new[:MAX_NAMES],
            )


def _groups(decided: Iterable[DecidedEnd], ended: set[LeaseId]) -> dict[_Group, list[str]]:
    groups = defaultdict[_Group, list[str]](list)
    for item in decided:
        terms, cause, end = item.terms, item.cause, item.end
        if end.id in ended and isinstance(cause, Lapse):
            if isinstance(end.verdict, Finish):
                state, attempt = end.verdict.state, 0
            else:
                state, attempt = JobState.PENDING, terms.attempt + 1
            group = _Group(terms.queue, terms.worker_id, cause, state, attempt)
            groups[group].append(end.id.job_id)
    return groups
