"""What a model knows of a job, where the database has it, and how to age it there."""

from dataclasses import dataclass, replace

from jobsvc.attempt import Terms
from jobsvc.job import JobState
from jobsvc.lease import LeaseId
from jobsvc.retry import RetryPolicy

RETRY = RetryPolicy(3, 3600.0, 3600.0, 1.0)

# Aging, in place of waiting.
AGE_WAITING = "UPDATE waiting SET run_at = now() - interval '1 minute'"
AGE_LEASE = "UPDATE lease SET until = now() - interval '1 minute' WHERE lease_id = $1"
END_ATTEMPT = "UPDATE lease SET deadline = now() - interval '1 minute' WHERE lease_id = $1"
END_JOB = "UPDATE waiting SET expire_time = now() - interval '1 minute' WHERE job_id = $1"
REQUEST_CANCEL = "UPDATE lease SET cancel_request_time = now() WHERE lease_id = $1"
END_RETENTION = "UPDATE result SET purge_time = now() - interval '1 minute' WHERE job_id = $1"

#: Every row of every job, with the tables that it is in; rows without a job, too.
WHERE_JOBS_ARE = """
    SELECT id AS job_id, waiting.version AS waiting, lease.version AS lease,
        result.version AS result, result.state, lease.lease_id,
        held_key.unique_key IS NOT NULL AS keyed,
        coalesce(waiting.attempt, lease.attempt, result.attempt) AS attempt,
        coalesce(waiting.returns, lease.returns, 0) AS returns,
        (SELECT count(*) FROM attempt WHERE attempt.job_id = id) AS past
    FROM job FULL JOIN waiting ON waiting.job_id = id FULL JOIN lease ON lease.job_id = id
        FULL JOIN result ON result.job_id = id FULL JOIN held_key ON held_key.job_id = id
"""


@dataclass
class Known:
    """What the model knows of a job."""

    max_attempts: int
    priority: int
    key: str | None
    state: JobState = JobState.PENDING
    version: int = 1
    attempt: int = 0
    returns: int = 0
    past: int = 0
    lease: LeaseId | None = None
    cancel_requested: bool = False
    confirmed: bool = False
    ready: bool = True

    @property
    def terms(self) -> Terms:
        """What a decision about its lease needs to know."""
        retry = replace(RETRY, max_attempts=self.max_attempts)
        return Terms(max(self.attempt, 1), retry, self.cancel_requested)
