"""A model of jobs, and the statements that find and age them in the database."""

from dataclasses import dataclass

from hypothesis import strategies as st
from msgspec.structs import replace

from jobsvc.domain.job import TRANSITIONS, JobState
from jobsvc.domain.lease import LeaseId, LeaseTerms
from jobsvc.domain.outcome import Finish, Requeue
from jobsvc.domain.retry import RetryPolicy
from tests.support.samples import terms

RETRY = RetryPolicy(3, 3600.0, 3600.0, 1.0)

# Rows are aged instead of waited for.
AGE_WAITING = "UPDATE waiting SET run_at = now() - interval '1 minute'"
AGE_LEASE = "UPDATE lease SET until = now() - interval '1 minute' WHERE lease_id = $1"
END_ATTEMPT = "UPDATE lease SET deadline = now() - interval '1 minute' WHERE lease_id = $1"
END_JOB = "UPDATE waiting SET expire_time = now() - interval '1 minute' WHERE job_id = $1"
END_RETENTION = "UPDATE result SET purge_time = now() - interval '1 minute' WHERE job_id = $1"

#: Every row of every job, with the tables that it is in; also rows without a job.
WHERE_JOBS_ARE = """
    SELECT id::text AS job_id, waiting.version AS waiting, lease.version AS lease,
        result.version AS result, result.state, result.emptied_time, lease.lease_id,
        held_key.unique_key IS NOT NULL AS keyed,
        coalesce(waiting.attempt, lease.attempt, result.attempt) AS attempt,
        coalesce(waiting.redeliveries, lease.redeliveries, 0) AS redeliveries,
        (SELECT count(*) FROM attempt WHERE attempt.job_id = id) AS past
    FROM job FULL JOIN waiting ON waiting.job_id = id FULL JOIN lease ON lease.job_id = id
        FULL JOIN result ON result.job_id = id FULL JOIN held_key ON held_key.job_id = id
"""


@dataclass
class Known:
    """A job in the model."""

    max_attempts: int
    priority: int
    key: str | None
    has_request: bool = False
    state: JobState = JobState.PENDING
    version: int = 1
    attempt: int = 0
    redeliveries: int = 0
    past: int = 0
    lease: LeaseId | None = None
    cancel_requested: bool = False
    confirmed: bool = False
    ready: bool = True
    emptied: bool = False
    #: Whether it ended with an attempt, not while it waited.
    ended_by_lease: bool = False

    @property
    def terms(self) -> LeaseTerms:
        """The terms of its lease."""
        retry = replace(RETRY, max_attempts=self.max_attempts)
        return terms(
            attempt=max(self.attempt, 1), retry=retry, cancel_requested=self.cancel_requested
        )


class KnownJobs:
    """The model: every job, and every lease that has ever existed."""

    def __init__(self) -> None:
        self.jobs: dict[str, Known] = {}
        self.leases: list[LeaseId] = []
        self.accepted: set[LeaseId] = set()

    def waiting(self, ready: bool) -> list[Known]:
        """The jobs that wait for a worker or, unless `ready`, for their time."""
        pending = (k for k in self.jobs.values() if k.state is JobState.PENDING)
        return [known for known in pending if known.ready == ready]

    def some_lease(self) -> st.SearchStrategy[LeaseId]:
        """A lease: usually a current one, or an old one of a job that is leased again."""
        current = [known.lease for known in self.jobs.values() if known.lease]
        leased = {lease_id.job_id for lease_id in current}
        old = [i for i in self.leases if i.job_id in leased and i not in current]
        return st.one_of(st.sampled_from(ids) for ids in (current, old, self.leases) if ids)

    def holder(self, lease_id: LeaseId) -> Known | None:
        """The job whose current lease this is."""
        known = self.jobs.get(lease_id.job_id)
        return known if known is not None and known.lease == lease_id else None

    def ended(self, lease_id: LeaseId, known: Known, verdict: Finish | Requeue) -> None:
        assert lease_id not in self.accepted, "one outcome of a lease at most"
        self.accepted.add(lease_id)
        if isinstance(verdict, Finish):
            assert verdict.state in TRANSITIONS[known.state]
            known.state, known.lease, known.ended_by_lease = verdict.state, None, True
            if known.cancel_requested and known.state is JobState.FAILED:
                # Decided before the cancellation was requested.
                known.state = JobState.CANCELLED
            known.version += 1
        else:
            self.waits(known, verdict.attempt_used, ready=verdict.delay_seconds == 0)

    def waits(self, known: Known, used: bool, ready: bool) -> None:
        assert JobState.PENDING in TRANSITIONS[known.state]
        known.state, known.lease, known.ready = JobState.PENDING, None, ready
        known.version += 1
        known.past += used
        known.attempt -= not used
