"""What a database that was restored has of before, and what must be done about it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

#: How far a restore check raises versions of jobs and ids of schemas: more than either may have
#: grown between the moment that a database went back to and the restore. 2^53, which every JSON
#: parser takes, leaves room for nine thousand million restores.
STEP = 1_000_000


@dataclass(frozen=True, slots=True)
class Findings:
    """What there is of before."""

    database: str
    #: When PostgreSQL was started.
    server_start_time: datetime
    #: When this was checked since; None if it was not.
    check_time: datetime | None
    #: Sessions of servers of jobsvc.
    sessions: int
    #: About where the database ends; None if it never had a job.
    newest_job_time: datetime | None
    #: Leases of before, without those whose job is to be cancelled.
    leases: int
    #: Leases of before whose job is to be cancelled.
    cancelled_leases: int
    #: Leases that began since PostgreSQL was started, while servers are connected: they may be
    #: theirs.
    later_leases: int
    waiting: int
    #: Jobs that failed or were cancelled, which can be retried.
    unsuccessful: int
    #: Waiting jobs that have expired, or should have begun by now.
    overdue: int
    #: Jobs whose retention is over.
    purgeable: int
    #: Rows about workers and their streams.
    presences: int
    largest_schema_id: int
    #: The last one that the sequence gave out, and on which it goes on.
    last_schema_id: int
    has_session_key: bool

    @property
    def changeable(self) -> int:
        """Jobs whose status may still change."""
        leased = self.leases + self.cancelled_leases + self.later_leases
        return leased + self.waiting + self.unsuccessful

    @property
    def next_schema_id(self) -> int:
        """Behind this id no schema of the time that is lost has one."""
        return max(self.largest_schema_id, self.last_schema_id) + STEP


def repairs(found: Findings, is_done: bool) -> Iterator[str]:
    """Says what must be done, or what was done, a sentence each; nothing after a check."""
    if found.check_time is not None:
        return
    tense = 0 if is_done else 1
    if found.leases:
        verb = ("released", "release")[tense]
        yield f"{verb} {_count(found.leases, 'lease')} of before: no attempt is used"
    if found.cancelled_leases:
        verb = ("cancelled", "cancel")[tense]
        what = _count(found.cancelled_leases, "leased job")
        yield f"{verb} {what}, as had been requested"
    if found.changeable:
        verb = ("raised", "raise")[tense]
        what = _count(found.changeable, "job")
        yield f"{verb} the versions of {what} by {STEP}, above all that anybody has seen"
    verb = ("set", "set")[tense]
    yield f"{verb} the sequence of schema ids to {found.next_schema_id}"
    if found.presences:
        verb = ("forgot", "forget")[tense]
        yield f"{verb} {_count(found.presences, 'row')} about workers and streams of before"
    if not found.has_session_key:
        verb = ("made", "make")[tense]
        yield (
            f"{verb} a session key, as there is none: no session of before reaches its jobs, unless"
            " JOBSVC_SESSION_KEY has the key of before"
        )


def notes(found: Findings) -> Iterator[str]:
    """Says what is left to others, and what happens by itself when a server starts, a sentence
    each."""
    if found.check_time is None and found.later_leases:
        yield (
            f"servers are connected: {_count(found.later_leases, 'lease')} since the start of"
            " PostgreSQL may be theirs, and stay; what is of before among them runs out by itself"
        )
    if found.overdue:
        yield f"{_count(found.overdue, 'waiting job')} will fail: the time to begin is over"
    if found.purgeable:
        yield f"{_count(found.purgeable, 'ended job')} will be removed: the retention is over"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
