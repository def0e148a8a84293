"""Creates, follows and reads jobs from a Python service.

    async with AsyncClient("jobs.internal:50051", user_id="42") as client:
        created = await client.create("news-analyzer", {"url": "https://example.org"})
        job = await client.wait(created.id)
        print(job.state, job.output)

`Client` does the same for code that blocks. Neither needs a database.
"""

from jobsvc.client.async_client import AsyncClient
from jobsvc.client.bulk_operation import (
    BulkAction,
    BulkCancel,
    BulkDelete,
    BulkError,
    BulkOperation,
    BulkPreview,
    BulkRetry,
    BulkState,
    BulkUpdate,
)
from jobsvc.client.errors import (
    BulkOperationNotFound,
    CallFailed,
    DeadlineExceeded,
    EtagMismatch,
    InvalidRequest,
    JobNotFound,
    JobNotOwned,
    JobStateConflict,
    Overloaded,
    PayloadRejected,
    PayloadTooLarge,
    QueueNotFound,
    RequestIdReused,
    Unavailable,
    UniqueKeyTaken,
)
from jobsvc.client.job import (
    AttemptRecord,
    CreatedJob,
    Job,
    JobError,
    JobState,
    JobStatus,
    JobUpdate,
)
from jobsvc.client.job_changes import JobChanges
from jobsvc.client.job_filter import JobCount, JobFilter
from jobsvc.client.job_retry import RetryPolicy
from jobsvc.client.new_job import JobOptions, NewJob
from jobsvc.client.queue import (
    DurationPercentiles,
    HeldLease,
    Queue,
    QueueHistoryStep,
    QueueOptions,
    QueueStats,
    QueueWarning,
    Worker,
)
from jobsvc.client.sync_client import Client
from jobsvc.domain.errors import Violation

__all__ = [
    "AsyncClient",
    "AttemptRecord",
    "BulkAction",
    "BulkCancel",
    "BulkDelete",
    "BulkError",
    "BulkOperation",
    "BulkOperationNotFound",
    "BulkPreview",
    "BulkRetry",
    "BulkState",
    "BulkUpdate",
    "CallFailed",
    "Client",
    "CreatedJob",
    "DeadlineExceeded",
    "DurationPercentiles",
    "EtagMismatch",
    "HeldLease",
    "InvalidRequest",
    "Job",
    "JobChanges",
    "JobCount",
    "JobError",
    "JobFilter",
    "JobNotFound",
    "JobNotOwned",
    "JobOptions",
    "JobState",
    "JobStateConflict",
    "JobStatus",
    "JobUpdate",
    "NewJob",
    "Overloaded",
    "PayloadRejected",
    "PayloadTooLarge",
    "Queue",
    "QueueHistoryStep",
    "QueueNotFound",
    "QueueOptions",
    "QueueStats",
    "QueueWarning",
    "RequestIdReused",
    "RetryPolicy",
    "Unavailable",
    "UniqueKeyTaken",
    "Violation",
    "Worker",
]
