"""Which jobs a list is about, and where to look for them. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from jobsvc.domain.job import Job, JobState
from jobsvc.domain.job_id import FIRST_ID, LAST_ID, first_job_id
from jobsvc.domain.owner import Owner

#: How far the clock of a replica, which ids are made by, may be from that of the database, which
#: `create_time` is of.
_CLOCK_DIFFERENCE = timedelta(minutes=1)


class JobWalk(StrEnum):
    """The jobs that are looked at, one after the other; the names are those in list_jobs.sql."""

    #: Those of the caller's session, of the caller's user.
    SESSION = "session"
    USER = "user"
    #: Those in one of the states of the filter.
    STATE = "state"
    #: All.
    JOB = "job"


class JobFilter(msgspec.Struct, frozen=True):
    """Conditions that must all hold; an empty one holds for every job.

    `create_time_until` is exclusive.
    """

    queues: frozenset[str] = frozenset()
    states: frozenset[JobState] = frozenset()
    labels: Mapping[str, str] = {}
    own_session: bool = False
    own_user: bool = False
    create_time_from: datetime | None = None
    create_time_until: datetime | None = None

    def matches(self, job: Job, caller: Owner) -> bool:
        """Returns whether the filter selects a job, and the caller may see it. list_jobs.sql and
        estimate_jobs.sql do the same."""
        owner = job.owner
        return (
            caller.owns(owner)
            and (not self.queues or job.queue in self.queues)
            and (not self.states or job.status.state in self.states)
            and self.labels.items() <= job.labels.items()
            and (not self.own_session or caller.has_session_of(owner))
            and (not self.own_user or caller.has_user_of(owner))
            and (self.create_time_from is None or job.create_time >= self.create_time_from)
            and (self.create_time_until is None or job.create_time < self.create_time_until)
        )

    @property
    def walk(self) -> JobWalk:
        """Returns the fewest jobs that can be walked in the order of their ids, as a rule.

        COMPLETED is the state of most jobs, so there is no index for it.
        """
        if self.own_session:
            return JobWalk.SESSION
        if self.own_user:
            return JobWalk.USER
        if self.states and JobState.COMPLETED not in self.states:
            return JobWalk.STATE
        return JobWalk.JOB

    @property
    def id_bounds(self) -> tuple[str, str]:
        """Returns an id below the ids of all jobs that may match, and one above them."""
        first, last = self.create_time_from, self.create_time_until
        return (
            FIRST_ID if first is None else first_job_id(first, -_CLOCK_DIFFERENCE),
            LAST_ID if last is None else first_job_id(last, _CLOCK_DIFFERENCE),
        )
