"""A job with everything about it, for those who have the database: nobody's ownership is asked."""

from jobsvc.api.convert.jobs import write_job, write_payloads
from jobsvc.api.convert.payloads import JSON_TEXT
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.domain.errors import JobNotFound
from jobsvc.jobs.followers import Hub
from jobsvc.jobs.read import JobReader
from jobsvc.queues.catalog import Catalog
from jobsvc.store.store import Store
from jobsvc.v1 import job_pb2

_NEVER_POLLED_SECONDS = 1.0


async def read_whole_job(store: Store, job_id: str) -> job_pb2.Job:
    """Returns a job as GetJob returns it to its owner, payloads as JSON text.

    Raises:
        InvalidRequest: the id is none.
        JobNotFound: there is no such job, or its retention is over.
    """
    checks = RequestChecks()
    checks.uuid("job_id", job_id)
    checks.raise_if_violated()
    found = await store.shared_reads.read([job_id], True, True)
    if job_id not in found:
        raise JobNotFound(job_id)
    job = found[job_id]
    reader = JobReader(store, Catalog(store.queues), Hub(store.jobs, _NEVER_POLLED_SECONDS))
    reason, detail = await reader.wait_reason(job)
    message = job_pb2.Job()
    write_job(message, job, True, reason, await reader.attempts(job))
    message.status.wait_detail = detail
    await write_payloads(message, job, JSON_TEXT)
    return message
