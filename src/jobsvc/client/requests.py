"""Builds the requests of the contract. Pure; payloads always travel as JSON text."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import UUID

from google.protobuf import duration_pb2, json_format, struct_pb2

from jobsvc.client.new_job import Duration, NewJob, RetryPolicy, seconds
from jobsvc.client.payload import encode_payload
from jobsvc.client.queue import QueueOptions
from jobsvc.v1 import job_pb2, job_service_pb2, payload_pb2, queue_service_pb2

#: The most that the server takes in one batch: items by contract, bytes with
#: some room below its 4 MiB for the frame around the requests.
BATCH_ITEMS = 1000
BATCH_BYTES = 3_670_016
#: What a request costs in a batch beside its own bytes: a tag and a length.
_ITEM_OVERHEAD_BYTES = 8

_CONFLICT_POLICIES = {
    "use_existing": job_pb2.UNIQUE_CONFLICT_POLICY_USE_EXISTING,
    "fail": job_pb2.UNIQUE_CONFLICT_POLICY_FAIL,
}
_JSON_TEXT = payload_pb2.PAYLOAD_ENCODING_JSON_TEXT


def create_request(job: NewJob, validate_only: bool = False) -> job_service_pb2.CreateJobRequest:
    """The request that creates `job`.

    Raises:
        TypeError: the input has no JSON form.
        ValueError: the input is no JSON object, or a number or text is out of range.
    """
    request = job_service_pb2.CreateJobRequest(
        request_id=str(job.request_id), validate_only=validate_only
    )
    spec = request.spec
    spec.queue = job.queue
    spec.priority = job.priority
    if job.input is not None:
        spec.input.json_text = encode_payload(job.input)
    if job.schedule_time is not None:
        spec.schedule_time.FromDatetime(job.schedule_time)
    if job.expire_time is not None:
        spec.expire_time.FromDatetime(job.expire_time)
    if job.ttl is not None:
        spec.ttl.CopyFrom(_duration(job.ttl))
    if job.attempt_timeout is not None:
        spec.attempt_timeout.CopyFrom(_duration(job.attempt_timeout))
    if job.retention is not None:
        spec.retention.CopyFrom(_duration(job.retention))
    if job.start_within is not None:
        spec.start_within.CopyFrom(_duration(job.start_within))
    if job.retry is not None:
        spec.retry_policy.CopyFrom(_retry_policy(job.retry))
    if job.unique_key is not None:
        spec.unique_key = job.unique_key
        spec.unique_conflict_policy = _CONFLICT_POLICIES[job.unique_conflict]
    spec.labels.update(job.labels or {})
    return request


def batch_requests(
    requests: Iterable[job_service_pb2.CreateJobRequest],
) -> Iterator[job_service_pb2.BatchCreateJobsRequest]:
    """Packs requests, in order, into batches that the server takes.

    A request that is too large by itself goes alone, for the server to refuse.
    """
    batch = job_service_pb2.BatchCreateJobsRequest()
    batch_bytes = 0
    for request in requests:
        item_bytes = request.ByteSize() + _ITEM_OVERHEAD_BYTES
        full = len(batch.requests) == BATCH_ITEMS or batch_bytes + item_bytes > BATCH_BYTES
        if batch.requests and full:
            yield batch
            batch, batch_bytes = job_service_pb2.BatchCreateJobsRequest(), 0
        batch.requests.append(request)
        batch_bytes += item_bytes
    if batch.requests:
        yield batch


def get_request(job_id: str | UUID, full: bool) -> job_service_pb2.GetJobRequest:
    """The request that reads a job."""
    view = job_pb2.JOB_VIEW_FULL if full else job_pb2.JOB_VIEW_BASIC
    return job_service_pb2.GetJobRequest(job_id=str(job_id), view=view, payload_encoding=_JSON_TEXT)


def wait_request(job_id: str | UUID, wait_seconds: float) -> job_service_pb2.WaitJobRequest:
    """The request that waits for the end of a job, for at most `wait_seconds` (0 to 60)."""
    return job_service_pb2.WaitJobRequest(
        job_id=str(job_id),
        timeout=_duration(wait_seconds),
        view=job_pb2.JOB_VIEW_FULL,
        payload_encoding=_JSON_TEXT,
    )


def cancel_request(job_id: str | UUID, reason: str) -> job_service_pb2.CancelJobRequest:
    """The request that cancels a job."""
    return job_service_pb2.CancelJobRequest(job_id=str(job_id), reason=reason)


def stream_request(
    job_ids: Iterable[str], heartbeat_seconds: float
) -> job_service_pb2.StreamJobStatusRequest:
    """The request that follows jobs."""
    return job_service_pb2.StreamJobStatusRequest(
        job_ids=job_ids,
        view=job_pb2.JOB_VIEW_FULL,
        payload_encoding=_JSON_TEXT,
        heartbeat_interval=_duration(heartbeat_seconds),
    )


def declare_queue_request(name: str, options: QueueOptions) -> queue_service_pb2.UpdateQueueRequest:
    """The request that makes a queue, or changes what is given of one that exists."""
    queue = queue_service_pb2.Queue(name=name)
    if "input_schema" in options:
        queue.input_schema.json_schema.CopyFrom(_struct(options["input_schema"]))
    if "output_schema" in options:
        queue.output_schema.json_schema.CopyFrom(_struct(options["output_schema"]))
    if "retry" in options:
        queue.retry_policy.CopyFrom(_retry_policy(options["retry"]))
    if "attempt_timeout" in options:
        queue.attempt_timeout.CopyFrom(_duration(options["attempt_timeout"]))
    if "lease" in options:
        queue.lease_duration.CopyFrom(_duration(options["lease"]))
    if "retention" in options:
        queue.retention.CopyFrom(_duration(options["retention"]))
    if "start_within" in options:
        queue.start_within.CopyFrom(_duration(options["start_within"]))
    return queue_service_pb2.UpdateQueueRequest(queue=queue, allow_missing=True)


def _retry_policy(retry: RetryPolicy) -> job_pb2.RetryPolicy:
    policy = job_pb2.RetryPolicy(
        max_attempts=retry.max_attempts or 0, backoff_multiplier=retry.backoff_multiplier or 0
    )
    if retry.initial_backoff is not None:
        policy.initial_backoff.CopyFrom(_duration(retry.initial_backoff))
    if retry.max_backoff is not None:
        policy.max_backoff.CopyFrom(_duration(retry.max_backoff))
    return policy


def _duration(duration: Duration) -> duration_pb2.Duration:
    message = duration_pb2.Duration()
    message.FromNanoseconds(round(seconds(duration) * 1e9))
    return message


def _struct(value: Mapping[str, Any]) -> struct_pb2.Struct:
    return json_format.ParseDict(dict(value), struct_pb2.Struct())
