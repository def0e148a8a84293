"""Expiry: waiting jobs fail once they have expired or have not started in time."""

from jobsvc.settings import Settings
from jobsvc.store.hints import Hints
from jobsvc.store.store import Store
from jobsvc.telemetry.jobs import JobMeasurements
from jobsvc.telemetry.measurements import Measurements

#: Jobs of a batch, of each kind.
MAX_JOBS = 1000


async def expire_jobs(
    store: Store, hints: Hints, settings: Settings, measurements: Measurements
) -> int:
    """Fails a batch of waiting jobs that expired or did not start in time. Returns how many."""
    expired = await store.upkeep.expire(MAX_JOBS, settings.failed_retention_seconds)
    JobMeasurements(measurements).expired((job.queue, job.reason) for job in expired)
    hints.tell([job.job_id for job in expired])
    return len(expired)
