"""Finding and counting jobs by a filter, on behalf of a caller."""

from typing import NamedTuple

from jobsvc.domain.job_filter import JobFilter
from jobsvc.domain.owner import Owner
from jobsvc.store.database import Connection, Database
from jobsvc.store.records import encode_labels

#: Jobs that one statement looks at, at most: it takes 20 ms for them, and 5 times as long where the
#: state of each must be looked up.
MAX_CANDIDATES = 5000


class FoundJob(NamedTuple):
    """A job that matches. `payload_bytes` is the size of its input and output, if asked for."""

    job_id: str
    payload_bytes: int


class Walk(NamedTuple):
    """What was found on the way. `next_before`: the id to go on before; None at the end."""

    found: list[FoundJob]
    next_before: str | None


class JobListStore:
    """Statements on jobs that match a filter."""

    def __init__(self, database: Database, max_candidates: int) -> None:
        """One statement walks over `max_candidates` jobs at most."""
        self._database = database
        self._max_candidates = max_candidates

    async def walk(
        self,
        wanted: JobFilter,
        caller: Owner,
        before: str | None,
        most: int,
        measures_payloads: bool = False,
        connection: Connection | None = None,
    ) -> Walk:
        """Returns jobs that match and that the caller may see, newest first, at most `most`, from
        before the id `before` on (None for the newest); as the transaction of `connection` sees
        them, if there is one."""
        first, last = wanted.id_bounds
        arguments = (
            *_columns(wanted, caller),
            wanted.walk.value,
            last if before is None else before,
            first,
            self._max_candidates,
            most + 1,
            measures_payloads,
        )
        if connection is None:
            rows = await self._database.fetch("list_jobs", *arguments)
        else:
            rows = await connection.fetch(self._database.sql["list_jobs"], *arguments)
        found = [FoundJob(str(r["id"]), r["payload_bytes"]) for r in rows if r["matches"]]
        if len(rows) > most:
            return Walk(found[:most], str(rows[most - 1]["id"]))
        return Walk(found, str(rows[-1]["id"]) if rows and rows[-1]["ends_walk"] else None)

    async def estimate(self, wanted: JobFilter, caller: Owner) -> int:
        """Returns about how many jobs match that the caller may see."""
        (row,) = await self._database.fetch("estimate_jobs", *_columns(wanted, caller))
        jobs: int = row["jobs"]
        return jobs


def _columns(wanted: JobFilter, caller: Owner) -> tuple[object, ...]:
    """The parameters $1 to $10 of both statements."""
    return (
        list(wanted.queues) or None,
        list(wanted.states) or None,
        encode_labels(dict(wanted.labels)),
        None if caller.sees_all else caller.service,
        caller.user_id,
        caller.session_hash,
        wanted.own_user,
        wanted.own_session,
        wanted.create_time_from,
        wanted.create_time_until,
    )
