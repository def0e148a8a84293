"""What the comments of the contract say in numbers beside the rules for fields: the words, made of
the constants of the code where there are some."""

from jobsvc.api import pages
from jobsvc.api.bounds import MAX_ANSWER_BYTES, MAX_PAGE_BYTES
from jobsvc.api.bulk_jobs import _DEFAULT_WAIT_SECONDS as BULK_WAIT_SECONDS
from jobsvc.api.bulk_jobs import _MAX_ITEMS as MAX_OPERATIONS
from jobsvc.api.convert.work_frames import _DEFAULT_LEASES, _MAX_BYTES, _MAX_TOKEN
from jobsvc.api.job_lists import _MAX_FULL_ITEMS
from jobsvc.api.job_service import _DEFAULT_WAIT_SECONDS, _MAX_BATCH
from jobsvc.domain.limits import MAX_VIOLATIONS
from jobsvc.domain.payload import MAX_LEVELS
from jobsvc.domain.queue_history import MAX_QUEUES
from jobsvc.domain.schema import _LARGE_CHARACTERS
from jobsvc.jobs.bulk import _MAX_SAMPLE, MAX_OF_ALL, MAX_OF_CALLER
from jobsvc.jobs.list import _MAX_WALKS, MAX_COUNTED
from jobsvc.jobs.watcher import MAX_PENDING
from jobsvc.queues.control import _MAX_CANCELLED
from jobsvc.queues.update_warnings import MAX_JOBS
from jobsvc.settings import Settings
from jobsvc.store.job_lists import MAX_CANDIDATES
from jobsvc.store.workers import _MAX_LISTED

#: What has a digit, and is no number: names, numbered steps, and steps that are named.
PLAIN = (
    *("W3C", "UTF-8", "IEEE 754", "draft 2020-12", "base64"),
    *(f" {step}. " for step in range(1, 9)),
    *("under 6", "under 7", "and 7 applies", "as in 5"),
)

_DEFAULT = Settings()
_MIB = 1024 * 1024
_ANSWER = f"{MAX_ANSWER_BYTES // _MIB} MiB"
_MESSAGE = f"{_DEFAULT.max_message_bytes // _MIB} MiB"
_PAYLOAD = f"{_DEFAULT.max_payload_bytes // 1024} KiB"
_GRACE = f"{_DEFAULT.cancel_grace_seconds:g} seconds"
_ACKNOWLEDGE = f"{_DEFAULT.acknowledge_seconds:g} seconds"
_PAGE = f"Default {pages._DEFAULT_ITEMS}; above {pages.MAX_ITEMS:,} counts as {pages.MAX_ITEMS:,}"
_BEAT = f"Default {_DEFAULT.heartbeat_interval_seconds:g} seconds"
_EXTRA = "0 takes the default, 1."
_NO_LIMIT = "0 for no limit"
_FROM_1 = "from 1"

FACTS: dict[str, tuple[str, ...]] = {
    "Job.id": ("a UUID version 7 in canonical lower case", "are 0 today"),
    "JobSpec.priority": ("Default 0.",),
    "JobSpec.schedule_delay": ("0 means now",),
    "JobStatus.version": ("Starts at 1",),
    "JobStatus.attempt": ("0 before the first one",),
    "RetryPolicy": ("up to 20 percent",),
    "RetryPolicy.max_attempts": ("0 takes the default", "1 means no retry"),
    "RetryPolicy.backoff_multiplier": ("0 takes the default",),
    "JobAttempt.attempt": (_FROM_1,),
    "JobService": ("1 to 256 printable ASCII characters",),
    "JobService.BatchCreateJobs": (f"up to {_MAX_BATCH:,} jobs",),
    "JobService.ListJobs": (f"at {MAX_CANDIDATES:,} jobs at most",),
    "JobService.CountJobs": (
        f"Up to {MAX_COUNTED:,} jobs are counted",
        f"more than {MAX_CANDIDATES * _MAX_WALKS:,} jobs would have to be looked at",
    ),
    "JobService.CancelJob": (f"after {_GRACE}",),
    "JobService.BulkJobs": (
        f"has {MAX_OF_CALLER} operations running, or all callers {MAX_OF_ALL}",
    ),
    "CreateJobRequest.request_id": (
        "UUID that makes",
        f"until {_DEFAULT.request_id_seconds / 3600:g} hours after the end of the job",
    ),
    "BatchCreateJobsRequest.requests": (f"{_MESSAGE} together",),
    "BatchCreateJobsResponse.responses": (f"exceed {_ANSWER}",),
    "WaitJobRequest.timeout": (f"Default {_DEFAULT_WAIT_SECONDS:g} seconds",),
    "ListJobsRequest.page_size": (
        _PAGE,
        f"above {_MAX_FULL_ITEMS} counts as {_MAX_FULL_ITEMS}",
    ),
    "ListJobsResponse.jobs": (f"{MAX_PAGE_BYTES // _MIB} MiB at most",),
    "CountJobsResponse.is_estimate": (f"more than {MAX_COUNTED:,} jobs",),
    "RetryJobRequest.extra_attempts": (_EXTRA,),
    "StreamJobStatusRequest.heartbeat_interval": (_BEAT,),
    "WatchJobsRequest.heartbeat_interval": (_BEAT,),
    "WatchJobsResponse": (f"at most {MAX_PENDING:,} in all",),
    "SubmitRequest.jobs": (f"{_MESSAGE} together",),
    "SubmitOptions.heartbeat_interval": (_BEAT,),
    "BulkRetry.extra_attempts": (_EXTRA,),
    "BulkJobsRequest.rate": ("0 for as many as the service has time for",),
    "BulkJobsRequest.most": (_NO_LIMIT,),
    "BulkJobsRequest.request_id": ("UUID that makes",),
    "BulkJobsResponse.sample": (f"up to {_MAX_SAMPLE} of the jobs",),
    "ListBulkOperationsRequest.page_size": (
        f"Default {pages._DEFAULT_ITEMS}; above {MAX_OPERATIONS} counts as {MAX_OPERATIONS}",
    ),
    "WaitBulkOperationRequest.timeout": (f"Default {BULK_WAIT_SECONDS:g} seconds",),
    "BulkOperation.id": ("UUID version 7 in canonical form",),
    "BulkOperation.rate": (_NO_LIMIT,),
    "BulkOperation.most": (_NO_LIMIT,),
    "Payload": (
        f"at most {_PAYLOAD} as JSON text",
        f"at most {MAX_LEVELS} levels",
        "beyond 1.7976931348623157e308, so also a whole number of 310 digits",
        "whole number beyond 2^53 1.0 0.1000...01",
        "every digit 1.0 every digit",
        "nearest double 1 nearest double",
        "nearest double 1 nearest double",
    ),
    "Payload.json": ("integers beyond 2^53", "a whole number below 10^21"),
    "PayloadSchema": (
        f"{MAX_VIOLATIONS} at most",
        f"more than {_LARGE_CHARACTERS:,} characters",
    ),
    "PayloadSchema.json_schema": ("one of 2^53 or more is refused",),
    "QueueService.PurgeQueue": (f"in batches of {_MAX_CANCELLED:,}",),
    "QueueService.GetQueueHistory": (
        f"the {MAX_QUEUES} busiest queues",
        "at most 50 % too high, a third too low, or 1 ms wrong",
    ),
    "Queue.retry_policy": (
        f"Unset: {_DEFAULT.max_attempts} attempts, {_DEFAULT.initial_backoff_seconds:g} s,"
        f" {_DEFAULT.max_backoff_seconds / 60:g} min, {_DEFAULT.backoff_multiplier:g}.",
    ),
    "Queue.attempt_timeout": (f"Unset: {_DEFAULT.attempt_timeout_seconds / 60:g} minutes",),
    "Queue.lease_duration": (f"Unset: {_DEFAULT.lease_seconds:g} seconds",),
    "Queue.retention": (
        f"Unset: {_DEFAULT.retention_seconds / 86_400:g} days, and"
        f" {_DEFAULT.failed_retention_seconds / 86_400:g} for a job that has failed",
    ),
    "Queue.max_waiting": ("Unset or 0: no limit", f"Up to {MAX_COUNTED:,} jobs are counted"),
    "ListQueuesRequest.page_size": (_PAGE,),
    "QueueWarning.reason": (
        "Matches `^[A-Z][A-Z0-9_]*$`",
        f"below {_PAYLOAD} are refused",
        f"the first {MAX_JOBS:,} are looked at",
    ),
    "QueueStats.scheduled_count": (
        f"Exact up to {MAX_COUNTED:,}",
        "19 times out of 20 within 20 % of the truth, and within 5 % from 16,000 jobs on",
    ),
    "DurationPercentiles.p95": ("95 of 100",),
    "DurationPercentiles.p99": ("99 of 100",),
    "ListWorkersRequest.page_size": (_PAGE,),
    "Worker.window": ("0 while it drains",),
    "Worker.leases": (f"at most {_MAX_LISTED}",),
    "HeldLease.attempt": (_FROM_1,),
    "WorkerService.Work": (
        f"within {_ACKNOWLEDGE}",
        f"and {_DEFAULT.reconnect_seconds:g} seconds (a setting of the server)",
        "every 5 seconds at least",
        "`set_window` 0",
    ),
    "WorkerService.LeaseJobs": (f"fit into {_ANSWER}",),
    "WorkerService.ExtendLeases": (
        f"({_DEFAULT.extend_interval_seconds:g} seconds by default)",
        f"the grace of {_GRACE}",
    ),
    "WorkResponse.dispatch": (
        f"up to {_DEFAULT_LEASES}",
        f"up to {-(-_MAX_BYTES // 1024)} KiB",
    ),
    "WorkResponse.sequence": (_FROM_1,),
    "Subscribe.max_dispatch_leases": (f"Default: {_DEFAULT_LEASES}.",),
    "WorkerInfo": ("None of these texts may hold control characters",),
    "QueueSubscription.max_leases": ("0 leaves it to the window",),
    "SetWindow.window": ("0 stops dispatch",),
    "Subscribed.resume_token": (f"at most {_MAX_TOKEN} characters",),
    "LeaseJobsRequest.max_jobs": ("Default 1.",),
    "JobLease.lease_id": ("64 random bits",),
    "JobLease.attempt": (_FROM_1,),
    "LeaseState.LEASE_STATE_CANCEL_REQUESTED": (f"for {_GRACE} after the request at most",),
    "ReportOutcomesRequest.outcomes": (f"at most {_MESSAGE} together",),
    "OutcomeResult.status": ("code 9 for a lost lease",),
}
