"""Whose a job is, and who may see it."""

from jobsvc.errors import JobNotOwned
from jobsvc.job import Job, Owner


def check_owner(caller: Owner, job: Job) -> None:
    """Lets a caller see a job that is its own.

    Raises:
        JobNotOwned: it is somebody else's. Says so when neither session nor user was sent.
    """
    if caller.owns(job.owner):
        return
    metadata = {"jobId": job.id}
    if caller.session_hash is None and not caller.user_id:
        metadata["missingMetadata"] = "x-session-id"
    raise JobNotOwned("the job belongs to somebody else", **metadata)
