"""What the comments of the contract say of the values of fields: one row for each sentence.

`RULES` has what a caller must keep; the bounds make the words of the row, and the values to try.
`FACTS` has what else comments say in numbers: the words, made of the constants of the code.
`tests/api/test_field_rules.py` compares both with the comments, and the rules with the server.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobsvc.v1 import job_pb2, payload_pb2
from jobsvc.v1 import job_service_pb2 as jobs
from jobsvc.v1 import worker_service_pb2 as workers

ID = "0190f3e4-7b2a-7cde-8000-0123456789ab"
LEASE = f"{ID}.1"
_YEARS = 3_155_760_000


@dataclass(frozen=True)
class Rule:
    """A sentence, values that keep the rule, at its bounds, and values that break it, just beyond.

    A value that is a `Below` is refused at a path below that of the field.
    """

    words: str
    within: Sequence[Any]
    beyond: Sequence[Any]


@dataclass(frozen=True)
class Below:
    """A value of a repeated field or a map that is wrong in one item: `[0]`, `['key']`."""

    value: Any
    item: str


def _range(lower: float, upper: float) -> str:
    return f"{lower:,} to {upper:,}"


def whole(lower: int, upper: int) -> Rule:
    """A whole number in a range."""
    return Rule(f"{_range(lower, upper)}.", (lower, upper), (lower - 1, upper + 1))


def factor(upper: int) -> Rule:
    """A number from 0 on."""
    nan = float("nan")
    return Rule(f"0 to {upper:,}.", (0.0, float(upper)), (-0.5, upper + 0.5, nan))


def not_negative(bits: int) -> Rule:
    """A whole number that is bounded by its type alone."""
    return Rule("Not negative", (0, 2 ** (bits - 1) - 1), (-1,))


def length(seconds: float) -> Duration:
    """A duration of so many seconds."""
    found = Duration()
    found.FromMicroseconds(round(seconds * 1_000_000))
    return found


def seconds(lower: float, upper: float, words: str = "", step: float = 0.5) -> Rule:
    """A duration; `step` is less than what lies between the bounds and other lengths that fit."""
    return Rule(
        words or f"{_range(lower, upper)} seconds.",
        (length(lower), length(upper)),
        (length(lower - step), length(upper + step), Duration(seconds=9, nanos=-1)),
    )


def characters(lower: int, upper: int, form: str = "") -> Rule:
    """How many characters a text has."""
    count = f"At most {upper:,}" if lower == 0 else _range(lower, upper)
    within, beyond = ["x" * max(lower, 1), "ü" * upper], ["ü" * (upper + 1)]
    if lower:
        beyond.append("x" * (lower - 1))
    return Rule(form or f"{count} characters", within, beyond)


NO_CONTROLS = Rule("no control characters", ("a b",), ("a\nb", "a\x1b[0mb", "\u2028"))
WORDS = Rule("", ("a\nb", "a\x1b[0mb"), ())


def pattern(words: str, within: Sequence[str], beyond: Sequence[str]) -> Rule:
    """A form of a text."""
    return Rule(words, within, beyond)


_NAME = "a" + "-0" * 31
_NAMES = ("a", "a9", _NAME)
_NOT_NAMES = ("A", "9a", "a-", "a_b", "-", f"{_NAME}0", "a\n", " a", "ä")


def queue_name(words: str = "Matches `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`", empty: str = "") -> Rule:
    """A name of a queue; the second word is for fields that may be empty."""
    return Rule(words, _NAMES, _NOT_NAMES if empty else ("", *_NOT_NAMES))


def queue_names(words: str) -> Rule:
    """Names of queues."""
    return Rule(words, [[*_NAMES]], [Below(["a", bad], "[1]") for bad in ("", *_NOT_NAMES)])


_NOT_UUIDS = (ID.upper(), ID[:-1], f"{ID}0", ID.replace("-", ""), f"{{{ID}}}", f"{ID}\n", "x")


def uuid(empty: bool = False) -> Rule:
    """A UUID."""
    return Rule("A UUID in canonical form", (ID,), _NOT_UUIDS if empty else ("", *_NOT_UUIDS))


UUIDS = Rule("UUIDs in canonical form", ([ID],), [Below([bad], "[0]") for bad in ("", *_NOT_UUIDS)])


def items(lower: int, upper: int, item: Any, words: str = "") -> Rule:
    """How many items a list has; `item` makes the one of a number, or is each."""
    each = item if callable(item) else lambda _: item

    def some(count: int) -> list[Any]:
        return [each(n) for n in range(count)]

    count = f"At most {upper:,}" if words == "At most" else _range(lower, upper)
    beyond = [some(upper + 1)] + ([some(lower - 1)] if lower else [])
    return Rule(f"{count} items", (some(max(lower, 1)), some(upper)), beyond)


def entries(upper: int) -> Rule:
    """How many entries a map has."""
    some = [{f"key{n}": "" for n in range(count)} for count in (upper, upper + 1)]
    return Rule(f"At most {upper:,} entries", some[:1], some[1:])


def _at(key: str) -> str:
    return f"[{key[:80]!r}]"


def keys(words: str, within: Sequence[str], beyond: Sequence[str]) -> Rule:
    """The keys of a map."""
    return Rule(words, [dict.fromkeys(within, "")], [Below({k: ""}, _at(k)) for k in beyond])


def values(words: str, within: Sequence[str], beyond: Sequence[str]) -> Rule:
    """The values of a map."""
    return Rule(words, [{"k": v} for v in within], [Below({"k": v}, "['k']") for v in beyond])


def uuid_of(number: int) -> str:
    """The id of a number."""
    return f"{ID[:-4]}{number:04x}"


_KEYS = ("a", "a9_.-", "a" * 63)
_NOT_KEYS = ("", "A", "9", "_a", "a b", "a" * 64, "a\n")
_CENTURY = "at most 100 years"
_MOST_DELAY = seconds(0, 604_800)
_LEASE_SECONDS = seconds(5, 3_600)
_HEARTBEAT = seconds(5, 300)
_WAIT = seconds(0, 60)
_PAGE_SIZE, _TOKEN = not_negative(32), characters(0, 1_024)
_NOTE = (characters(0, 500), NO_CONTROLS)
_WORDS = (characters(0, 500), WORDS)
_LEASE_ID = characters(1, 128)
_MAP_TEXTS = (
    keys("Keys have 1 to 255 characters", ("ü", "ü" * 255), ("", "ü" * 256)),
    values("values at most 255", ("ü" * 255,), ("ü" * 256,)),
)
_IDENTITY = ("x", "x y", "~" * 256)
_NOT_IDENTITIES = ("~" * 257, " ", "é", "a\n")


def _zero(*words: str) -> tuple[Rule, ...]:
    return (Rule(words[0], (Timestamp(seconds=4_000_000_000),), (Timestamp(),)),)


def _schema(size: int) -> payload_pb2.PayloadSchema:
    """A schema of so many bytes; four of them are no text."""
    text = '{"description":""}'
    return payload_pb2.PayloadSchema(
        json_schema_text=text.replace('""', f'"{"x" * (size - 4 - len(text))}"')
    )


_SCHEMA = Rule("At most 1 MiB", (_schema(1 << 20),), (_schema((1 << 20) + 1),))

RULES: dict[str, tuple[Rule, ...]] = {
    "JobSpec.queue": (queue_name(),),
    "JobSpec.priority": (whole(-100, 100),),
    "JobSpec.schedule_time": _zero("exactly 0 (1970), the usual trace of a lost value, is refused"),
    "JobSpec.expire_time": _zero("and so is exactly 0 (1970)"),
    "JobSpec.ttl": (seconds(1, _YEARS, f"Above 0, {_CENTURY}", step=1),),
    "JobSpec.attempt_timeout": (seconds(1, 604_800),),
    "JobSpec.retention": (seconds(0, _YEARS, f"Not negative, {_CENTURY}"),),
    "JobSpec.unique_key": (characters(0, 255), NO_CONTROLS),
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
        pattern(
            "Matches `^[A-Z][A-Z0-9_]{0,61}[A-Z0-9]$`",
            ("AB", "A_9", "A" * 63),
            ("A", "a", "9A", "A_", "_A", "A" * 64, "A B", "AB\n"),
        ),
    ),
    "JobError.message": (characters(0, 4_096), WORDS),
    "JobError.metadata": (
        entries(32),
        keys("Keys have 1 to 255 characters", ("ü", "ü" * 255), ("", "ü" * 256)),
        values("values at most 4,096", ("ü" * 4_096, "a\nb"), ("ü" * 4_097,)),
    ),
    "JobError.stack_trace": (characters(0, 16_384), WORDS),
    "CreateJobRequest.request_id": (uuid(empty=True),),
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
    "JobFilter.queues": (queue_names("Names of queues"), items(0, 64, "a", "At most")),
    "JobFilter.states": (items(0, 10, 1, "At most"),),
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
        pattern(
            "0 to 256 printable ASCII characters, not blanks alone", _IDENTITY, _NOT_IDENTITIES
        ),
    ),
    "SubmitJob.user_id": (pattern("See `session_id`", _IDENTITY, _NOT_IDENTITIES),),
    "BulkCancel.reason": _NOTE,
    "BulkRetry.extra_attempts": (whole(0, 100),),
    "BulkJobsRequest.rate": (factor(100_000),),
    "BulkJobsRequest.most": (not_negative(64),),
    "BulkJobsRequest.request_id": (uuid(empty=True),),
    "GetBulkOperationRequest.operation_id": (uuid(),),
    "ListBulkOperationsRequest.page_size": (_PAGE_SIZE,),
    "ListBulkOperationsRequest.page_token": (_TOKEN,),
    "WaitBulkOperationRequest.operation_id": (uuid(),),
    "WaitBulkOperationRequest.timeout": (_WAIT,),
    "StopBulkOperationRequest.operation_id": (uuid(),),
    "Queue.name": (queue_name(),),
    "Queue.input_schema": (_SCHEMA,),
    "Queue.output_schema": (_SCHEMA,),
    "Queue.attempt_timeout": (seconds(1, 604_800),),
    "Queue.lease_duration": (_LEASE_SECONDS,),
    "Queue.retention": (seconds(0, _YEARS, f"Not negative, {_CENTURY}"),),
    "Queue.start_within": (
        seconds(0.001, _YEARS, f"At least 0.001 seconds, {_CENTURY}", step=0.000_1),
    ),
    "Queue.max_waiting": (whole(0, 1_000_000_000),),
    "GetQueueRequest.name": (queue_name("Name of the queue"),),
    "ListQueuesRequest.page_size": (_PAGE_SIZE,),
    "ListQueuesRequest.page_token": (_TOKEN,),
    "DeleteQueueRequest.name": (queue_name("Name of the queue"),),
    "PauseQueueRequest.name": (queue_name("Name of the queue"),),
    "PauseQueueRequest.reason": _NOTE,
    "PauseQueueRequest.duration": (seconds(1, 864_000_000, "1 second to 10,000 days"),),
    "ResumeQueueRequest.name": (queue_name("Name of the queue"),),
    "PurgeQueueRequest.name": (queue_name("Name of the queue"),),
    "PurgeQueueRequest.reason": _NOTE,
    "GetQueueStatsRequest.queues": (
        queue_names("Names of queues"),
        items(0, 1_000, "a", "At most"),
    ),
    "GetQueueHistoryRequest.queue": (queue_name("Name of the queue"),),
    "GetQueueHistoryRequest.window": (
        seconds(60, 86_400, "From `step` to one day, and a multiple of it", step=1),
    ),
    "GetQueueHistoryRequest.step": (seconds(60, 86_400, "Whole minutes, up to one day", step=1),),
    "ListWorkersRequest.queue": (queue_name("Only workers of this queue", empty="empty for all"),),
    "ListWorkersRequest.page_size": (_PAGE_SIZE,),
    "ListWorkersRequest.page_token": (_TOKEN,),
    "DrainWorkerRequest.worker_id": (characters(1, 128),),
    "DrainWorkerRequest.reason": _NOTE,
    "Subscribe.queues": (items(1, 64, lambda n: workers.QueueSubscription(queue=f"q{n}")),),
    "Subscribe.window": (whole(0, 10_000),),
    "Subscribe.lease_duration": (_LEASE_SECONDS,),
    "Subscribe.held_lease_ids": (
        items(0, 10_000, LEASE, "At most"),
        Rule("of at most 128 characters", (["x" * 128],), (Below(["x", "x" * 129], "[1]"),)),
    ),
    "Subscribe.max_dispatch_leases": (whole(0, 1_000),),
    "Subscribe.resume_token": (characters(0, 64),),
    "WorkerInfo.worker_id": (characters(1, 128), NO_CONTROLS_OF_WORKER := Rule("", (), ("a\nb",))),
    "WorkerInfo.version": (characters(0, 64), NO_CONTROLS_OF_WORKER),
    "WorkerInfo.sdk": (characters(0, 64), NO_CONTROLS_OF_WORKER),
    "WorkerInfo.labels": (entries(16), *_MAP_TEXTS, values("", ("a b",), ("a\nb",))),
    "QueueSubscription.queue": (queue_name(),),
    "QueueSubscription.max_leases": (not_negative(32),),
    "SetWindow.window": (whole(0, 10_000),),
    "LeaseJobsRequest.queues": (
        queue_names("Names of queues"),
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
