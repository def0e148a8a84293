"""How attempts are run and jobs are kept: the same fields in the messages of a job and a queue."""

from google.protobuf import duration_pb2

from jobsvc.client.duration import Duration, to_seconds
from jobsvc.client.job_retry import RetryPolicy
from jobsvc.v1 import job_pb2, queue_service_pb2


def write_run_policy(
    message: job_pb2.JobSpec | queue_service_pb2.Queue,
    retry: RetryPolicy | None,
    attempt_timeout: Duration | None,
    retention: Duration | None,
    start_within: Duration | None,
) -> None:
    """Fills in the options that are given; the others stay unset."""
    if retry is not None:
        message.retry_policy.CopyFrom(_retry_policy(retry))
    if attempt_timeout is not None:
        message.attempt_timeout.CopyFrom(duration_message(attempt_timeout))
    if retention is not None:
        message.retention.CopyFrom(duration_message(retention))
    if start_within is not None:
        message.start_within.CopyFrom(duration_message(start_within))


def duration_message(duration: Duration) -> duration_pb2.Duration:
    """Returns a length of time as protobuf, to the nanosecond."""
    message = duration_pb2.Duration()
    message.FromNanoseconds(round(to_seconds(duration) * 1e9))
    return message


def _retry_policy(retry: RetryPolicy) -> job_pb2.RetryPolicy:
    policy = job_pb2.RetryPolicy(
        max_attempts=retry.max_attempts or 0, backoff_multiplier=retry.backoff_multiplier or 0
    )
    if retry.initial_backoff is not None:
        policy.initial_backoff.CopyFrom(duration_message(retry.initial_backoff))
    if retry.max_backoff is not None:
        policy.max_backoff.CopyFrom(duration_message(retry.max_backoff))
    return policy
