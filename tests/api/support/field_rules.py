"""What the comments of the contract say of the values of fields: one row for each field,
with a rule for each sentence. The bounds of a rule make its words, and the values to try.

`tests/api/test_field_rules.py` compares it with the comments and with the server;
`field_facts.py` has what else comments say in numbers.
"""

from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as jobs
from jobsvc.v1 import worker_service_pb2 as workers
from tests.api.support.value_rules import (
    CONTROLS,
    ID,
    QUEUE_NAME,
    QUEUE_NAMES,
    SCHEMA,
    UUIDS,
    Below,
    Rule,
    characters,
    entries,
    factor,
    items,
    keys,
    no_controls,
    not_negative,
    not_zero,
    queue_name,
    seconds,
    uuid,
    uuid_of,
    values,
    whole,
)

#: A lease that nobody has.
LEASE = f"{ID}.1"
_YEARS = 3_155_760_000
_KEYS = ("a", "a9_.-", "a" * 63)
_NOT_KEYS = ("", "A", "9", "_a", "a b", "a" * 64, "a\n")
_CENTURY = "at most 100 years"
_MOST_DELAY = seconds(0, 604_800)
_LEASE_SECONDS = seconds(5, 3_600)
_HEARTBEAT = seconds(5, 300)
_WAIT = seconds(0, 60)
_PAGE_SIZE, _TOKEN = not_negative(32), characters(0, 1_024)
_NOTE = (characters(0, 500), no_controls())
_WORDS = (characters(0, 500), CONTROLS)
_LEASE_ID = characters(1, 128)
_MAP_TEXTS = (
    keys("Keys have 1 to 255 characters", ("ü", "ü" * 255), ("", "ü" * 256)),
    values("values at most 255", ("ü" * 255,), ("ü" * 256,)),
)
_IDENTITY = ("x", "x y", "~" * 256)
_NOT_IDENTITIES = ("~" * 257, " ", "é", "a\n")


RULES: dict[str, tuple[Rule, ...]] = {
    "JobSpec.queue": (QUEUE_NAME,),
    "JobSpec.priority": (whole(-100, 100),),
    "JobSpec.schedule_time": (
        not_zero("exactly 0 (1970), the usual trace of a lost value, is refused"),
    ),
    "JobSpec.expire_time": (not_zero("and so is exactly 0 (1970)"),),
    "JobSpec.ttl": (seconds(1, _YEARS, f"Above 0, {_CENTURY}", step=1),),
    "JobSpec.attempt_timeout": (seconds(1, 604_800),),
    "JobSpec.retention": (seconds(0, _YEARS, f"Not negative, {_CENTURY}"),),
    "JobSpec.unique_key": (characters(0, 255), no_controls()),
    "JobSpec.labels": (
        keys("Keys match `^[a-z][a-z0-9_.-]{0,62}$`", _KEYS, _NOT_KEYS),
        entries(32),
        values("Values have at most 255 characters", ("ü" * 255,), ("ü" * 256,)),
        values("no control characters", ("a b",), ("a\nb", "\x7f")),
    ),
    "JobSpec.start_within": (
        seconds(0.001, _YEARS, f"At least 0.001 seconds, {_CENTURY}", step=0.000_1),
    ),
    "JobSpec.schedule_delay": (seconds(0, _YEARS, f"Not negative, {_CENTURY}"),),
    "RetryPolicy.max_attempts": (whole(0, 100),),
    "RetryPolicy.initial_backoff": (seconds(0, _YEARS, f"Not negative, {_CENTURY}"),),
    "RetryPolicy.max_backoff": (seconds(0, 86_400),),
    "RetryPolicy.backoff_multiplier": (factor(10),),
    "JobProgress.percent": (whole(0, 100),),
    "JobProgress.message": _WORDS,
    "JobError.code": (Rule("OK is not allowed", (1, 16), (0, 17)),),
    "JobError.reason": (
        Rule(
            "Matches `^[A-Z][A-Z0-9_]{0,61}[A-Z0-9]$`",
            ("AB", "A_9", "A" * 63),
            ("A", "a", "9A", "A_", "_A", "A" * 64, "A B", "AB\n"),
        ),
    ),
    "JobError.message": (characters(0, 4_096), CONTROLS),
    "JobError.metadata": (
        entries(32),
        keys("Keys have 1 to 255 characters", ("ü", "ü" * 255), ("", "ü" * 256)),
        values("values at most 4,096", ("ü" * 4_096, "a\nb"), ("ü" * 4_097,)),
    ),
    "JobError.stack_trace": (characters(0, 16_384), CONTROLS),
    "CreateJobRequest.request_id": (uuid(may_be_empty=True),),
    "BatchCreateJobsRequest.requests": (
        items(
            1,
            1_000,
            jobs.CreateJobRequest(spec=job_pb2.JobSpec(queue="q"), validate_only=True),
        ),
    ),
    "GetJobRequest.job_id": (uuid(),),
    "WaitJobRequest.job_id": (uuid(),),
    "WaitJobRequest.timeout": (_WAIT,),
    "JobFilter.queues": (QUEUE_NAMES, items(0, 64, "a", "At most 64")),
    "JobFilter.states": (items(0, 10, 1, "At most 10"),),
    "JobFilter.labels": (
        entries(8),
        keys("with keys", _KEYS, _NOT_KEYS),
        values("and values as in `JobSpec.labels`", ("ü" * 255,), ("ü" * 256, "a\nb")),
    ),
    "ListJobsRequest.page_size": (_PAGE_SIZE,),
    "ListJobsRequest.page_token": (_TOKEN,),
    "UpdateJobRequest.job_id": (uuid(),),
    "UpdateJobRequest.etag": (characters(0, 128),),
    "CancelJobRequest.job_id": (uuid(),),
    "CancelJobRequest.reason": _NOTE,
    "CancelJobRequest.etag": (characters(0, 128),),
    "RetryJobRequest.job_id": (uuid(),),
    "RetryJobRequest.extra_attempts": (whole(0, 100),),
    "RetryJobRequest.etag": (characters(0, 128),),
    "DeleteJobRequest.job_id": (uuid(),),
    "DeleteJobRequest.etag": (characters(0, 128),),
    "StreamJobStatusRequest.job_ids": (
        items(1, 1_000, uuid_of),
        UUIDS,
        Rule("No duplicates", (), (Below([ID, ID], "[1]"),)),
    ),
    "StreamJobStatusRequest.heartbeat_interval": (_HEARTBEAT,),
    "WatchJobsRequest.heartbeat_interval": (_HEARTBEAT,),
    "WatchJobsRequest.bookmark": (
        Rule("At most 64 characters", ("1-1-1",), ("1" * 65, "1-1-" + "1" * 61)),
    ),
    "SubmitRequest.jobs": (items(0, 1_000, jobs.SubmitJob()),),
    "SubmitRequest.follow_job_ids": (items(0, 1_000, uuid_of), UUIDS),
    "SubmitRequest.unfollow_job_ids": (items(0, 1_000, uuid_of), UUIDS),
    "SubmitOptions.heartbeat_interval": (_HEARTBEAT,),
    "SubmitJob.session_id": (
        Rule("0 to 256 printable ASCII characters, not blanks alone", _IDENTITY, _NOT_IDENTITIES),
    ),
    "SubmitJob.user_id": (Rule("See `session_id`", _IDENTITY, _NOT_IDENTITIES),),
    "BulkCancel.reason": _NOTE,
    "BulkRetry.extra_attempts": (whole(0, 100),),
    "BulkJobsRequest.rate": (factor(100_000),),
    "BulkJobsRequest.most": (not_negative(64),),
    "BulkJobsRequest.request_id": (uuid(may_be_empty=True),),
    "GetBulkOperationRequest.operation_id": (uuid(),),
    "ListBulkOperationsRequest.page_size": (_PAGE_SIZE,),
    "ListBulkOperationsRequest.page_token": (_TOKEN,),
    "WaitBulkOperationRequest.operation_id": (uuid(),),
    "WaitBulkOperationRequest.timeout": (_WAIT,),
    "StopBulkOperationRequest.operation_id": (uuid(),),
    "Queue.name": (QUEUE_NAME,),
    "Queue.input_schema": (SCHEMA,),
    "Queue.output_schema": (SCHEMA,),
    "Queue.attempt_timeout": (seconds(1, 604_800),),
    "Queue.lease_duration": (_LEASE_SECONDS,),
    "Queue.retention": (seconds(0, _YEARS, f"Not negative, {_CENTURY}"),),
    "Queue.start_within": (
        seconds(0.001, _YEARS, f"At least 0.001 seconds, {_CENTURY}", step=0.000_1),
    ),
    "Queue.max_waiting": (whole(0, 1_000_000_000),),
    "GetQueueRequest.name": (queue_name(),),
    "ListQueuesRequest.page_size": (_PAGE_SIZE,),
    "ListQueuesRequest.page_token": (_TOKEN,),
    "DeleteQueueRequest.name": (queue_name(),),
    "PauseQueueRequest.name": (queue_name(),),
    "PauseQueueRequest.reason": _NOTE,
    "PauseQueueRequest.duration": (seconds(1, 864_000_000, "1 second to 10,000 days"),),
    "ResumeQueueRequest.name": (queue_name(),),
    "PurgeQueueRequest.name": (queue_name(),),
    "PurgeQueueRequest.reason": _NOTE,
    "GetQueueStatsRequest.queues": (
        QUEUE_NAMES,
        items(0, 1_000, "a", "At most 1,000"),
    ),
    "GetQueueHistoryRequest.queue": (queue_name(),),
    "GetQueueHistoryRequest.window": (
        seconds(60, 86_400, "From `step` to one day, and a multiple of it", step=1),
    ),
    "GetQueueHistoryRequest.step": (seconds(60, 86_400, "Whole minutes, up to one day", step=1),),
    "ListWorkersRequest.queue": (queue_name("Only workers of this queue", may_be_empty=True),),
    "ListWorkersRequest.page_size": (_PAGE_SIZE,),
    "ListWorkersRequest.page_token": (_TOKEN,),
    "DrainWorkerRequest.worker_id": (characters(1, 128),),
    "DrainWorkerRequest.reason": _NOTE,
    "Subscribe.queues": (items(1, 64, lambda n: workers.QueueSubscription(queue=f"q{n}")),),
    "Subscribe.window": (whole(0, 10_000),),
    "Subscribe.lease_duration": (_LEASE_SECONDS,),
    "Subscribe.held_lease_ids": (
        items(0, 10_000, LEASE, "At most 10,000"),
        Rule("of at most 128 characters", (["x" * 128],), (Below(["x", "x" * 129], "[1]"),)),
    ),
    "Subscribe.max_dispatch_leases": (whole(0, 1_000),),
    "Subscribe.resume_token": (characters(0, 64),),
    "WorkerInfo.worker_id": (characters(1, 128), no_controls("")),
    "WorkerInfo.version": (characters(0, 64), no_controls("")),
    "WorkerInfo.sdk": (characters(0, 64), no_controls("")),
    "WorkerInfo.labels": (entries(16), *_MAP_TEXTS, values("", ("a b",), ("a\nb",))),
    "QueueSubscription.queue": (QUEUE_NAME,),
    "QueueSubscription.max_leases": (not_negative(32),),
    "SetWindow.window": (whole(0, 10_000),),
    "LeaseJobsRequest.queues": (
        QUEUE_NAMES,
        items(1, 64, lambda n: f"q{n}"),
    ),
    "LeaseJobsRequest.max_jobs": (whole(0, 100),),
    "LeaseJobsRequest.lease_duration": (_LEASE_SECONDS,),
    "LeaseJobsRequest.wait": (_WAIT,),
    "ExtendLeasesRequest.worker_id": (characters(0, 128),),
    "ExtendLeasesRequest.extensions": (items(1, 1_000, workers.LeaseExtension(lease_id=LEASE)),),
    "LeaseExtension.lease_id": (_LEASE_ID,),
    "LeaseExtension.duration": (_LEASE_SECONDS,),
    "ReportOutcomesRequest.worker_id": (characters(0, 128),),
    "ReportOutcomesRequest.outcomes": (
        items(1, 1_000, workers.JobOutcome(lease_id="x", release=workers.JobRelease())),
    ),
    "ReportOutcomesRequest.succeeded_lease_ids": (
        Rule(
            "1 to 128 characters each",
            (["x"], ["ü" * 128]),
            [Below([bad], "[0]") for bad in ("", "ü" * 129)],
        ),
    ),
    "JobOutcome.lease_id": (_LEASE_ID,),
    "JobFailure.retry_delay": (_MOST_DELAY,),
    "JobRelease.delay": (_MOST_DELAY,),
    "JobRelease.reason": _WORDS,
    "JobCancelled.message": _WORDS,
}
