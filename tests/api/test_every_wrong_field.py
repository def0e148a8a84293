"""A request with many wrong fields is refused with the path of each, whatever the call."""

from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc import aio

from jobsvc.v1 import externalscaler_pb2, job_service_pb2, queue_service_pb2, worker_service_pb2
from tests.api.support.refusal import refused

LONG = "x" * 1025
BAD_SECONDS = "-1.500s"
#: What `JobFilter` refuses.
FILTER = {
    "queues": ["ok", "No"],
    "states": [99],
    "labels": {" bad": "1"},
    "own_session": True,
    "own_user": True,
}
FILTER_PATHS = {
    "filter.queues[1]",
    "filter.states[0]",
    "filter.labels[' bad']",
    "filter.own_session",
    "filter.own_user",
}
#: Run options, the same for jobs and queues.
OPTIONS = {
    "retry_policy": {
        "max_attempts": -1,
        "initial_backoff": BAD_SECONDS,
        "max_backoff": BAD_SECONDS,
        "backoff_multiplier": -1,
    },
    "attempt_timeout": BAD_SECONDS,
    "retention": BAD_SECONDS,
    "start_within": BAD_SECONDS,
}
OPTION_PATHS = {
    "retry_policy.max_attempts",
    "retry_policy.initial_backoff",
    "retry_policy.max_backoff",
    "retry_policy.backoff_multiplier",
    "attempt_timeout",
    "retention",
    "start_within",
}
SPEC = {
    "queue": "No",
    "priority": 101,
    "schedule_time": "1970-01-01T00:00:00Z",
    "schedule_delay": BAD_SECONDS,
    "expire_time": "1970-01-01T00:00:00Z",
    "unique_key": LONG,
    "unique_conflict_policy": 99,
    "labels": {" bad": "1"},
    **OPTIONS,
}
SPEC_PATHS = {
    "queue",
    "priority",
    "schedule_time",
    "schedule_delay",
    "expire_time",
    "unique_key",
    "unique_conflict_policy",
    "labels[' bad']",
    *OPTION_PATHS,
}
SCHEMA = {"json_schema": {"type": "nothing"}}
QUEUE = {
    "name": "No",
    "max_waiting": -1,
    "lease_duration": BAD_SECONDS,
    "input_schema": SCHEMA,
    "output_schema": SCHEMA,
    **OPTIONS,
}
QUEUE_PATHS = {
    "name",
    "max_waiting",
    "lease_duration",
    "input_schema.json_schema.type",
    "output_schema.json_schema.type",
    *OPTION_PATHS,
}
PAGE = {"page_size": -1, "page_token": LONG}
TARGET = {"job_id": "No", "etag": LONG}
VIEW = {"view": 99, "payload_encoding": 99}
WORKER = {
    "worker_id": "",
    "version": LONG,
    "sdk": LONG,
    "labels": {f"key{n}": "" for n in range(17)},
}


def below(prefix: str, paths: set[str]) -> set[str]:
    """Paths of a message that is a field."""
    return {f"{prefix}.{path}" for path in paths}


#: By method: a request in which all fields are wrong that can be, and the paths of these.
CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "JobService/CreateJob": (
        {"spec": SPEC, "request_id": "No"},
        below("spec", SPEC_PATHS) | {"request_id"},
    ),
    "JobService/BatchCreateJobs": (
        {
            "requests": [
                {"spec": {"queue": "No", "priority": 101}},
                {"spec": {"queue": "ok"}},
                {"spec": {"queue": "ok", "priority": 101}, "request_id": "No"},
            ]
        },
        {
            "requests[0].spec.queue",
            "requests[0].spec.priority",
            "requests[2].spec.priority",
            "requests[2].request_id",
        },
    ),
    "JobService/GetJob": ({"job_id": "No", **VIEW}, {"job_id", *VIEW}),
    "JobService/WaitJob": (
        {"job_id": "No", "timeout": BAD_SECONDS, **VIEW},
        {"job_id", "timeout", *VIEW},
    ),
    "JobService/ListJobs": (
        {"filter": FILTER, **PAGE, **VIEW},
        FILTER_PATHS | PAGE.keys() | VIEW.keys(),
    ),
    "JobService/CountJobs": ({"filter": FILTER}, FILTER_PATHS),
    "JobService/UpdateJob": (
        {
            **TARGET,
            "spec": {"priority": 101, "labels": {" bad": "1"}},
            "update_mask": "a,priority,labels",
        },
        {"job_id", "etag", "update_mask", "spec.priority", "spec.labels[' bad']"},
    ),
    "JobService/CancelJob": ({**TARGET, "reason": LONG}, {*TARGET, "reason"}),
    "JobService/RetryJob": ({**TARGET, "extra_attempts": -1}, {*TARGET, "extra_attempts"}),
    "JobService/DeleteJob": (TARGET, {*TARGET}),
    "JobService/StreamJobStatus": (
        {"job_ids": ["No", "Neither"], "heartbeat_interval": BAD_SECONDS, **VIEW},
        {"job_ids[0]", "job_ids[1]", "heartbeat_interval", *VIEW},
    ),
    "JobService/WatchJobs": (
        {"filter": FILTER, "heartbeat_interval": BAD_SECONDS, **VIEW},
        FILTER_PATHS | {"heartbeat_interval", *VIEW},
    ),
    "JobService/Submit": (
        {"follow_job_ids": ["No"], "unfollow_job_ids": ["No", "Neither"]},
        {"follow_job_ids[0]", "unfollow_job_ids[0]", "unfollow_job_ids[1]"},
    ),
    "JobService/BulkJobs": (
        {
            "filter": FILTER,
            "rate": -1,
            "most": -1,
            "request_id": "No",
            "update": {"spec": {"priority": 101}, "update_mask": "a,priority"},
        },
        FILTER_PATHS | {"rate", "most", "request_id", "update.update_mask", "update.spec.priority"},
    ),
    "JobService/GetBulkOperation": ({"operation_id": "No"}, {"operation_id"}),
    "JobService/ListBulkOperations": (PAGE, {*PAGE}),
    "JobService/WaitBulkOperation": (
        {"operation_id": "No", "timeout": BAD_SECONDS},
        {"operation_id", "timeout"},
    ),
    "JobService/StopBulkOperation": ({"operation_id": "No"}, {"operation_id"}),
    "WorkerService/LeaseJobs": (
        {
            "worker": WORKER,
            "queues": ["ok", "No"],
            "max_jobs": -1,
            "lease_duration": BAD_SECONDS,
            "wait": BAD_SECONDS,
            "payload_encoding": 99,
        },
        below("worker", {*WORKER})
        | {"queues[1]", "max_jobs", "lease_duration", "wait", "payload_encoding"},
    ),
    "WorkerService/ExtendLeases": (
        {
            "worker_id": LONG,
            "extensions": [
                {"lease_id": ""},
                {"lease_id": "a", "duration": BAD_SECONDS, "progress": {"percent": 101}},
            ],
        },
        {
            "worker_id",
            "extensions[0].lease_id",
            "extensions[1].duration",
            "extensions[1].progress.percent",
        },
    ),
    "WorkerService/ReportOutcomes": (
        {
            "worker_id": LONG,
            "outcomes": [{"lease_id": ""}, {"lease_id": LONG}],
            "succeeded_lease_ids": [LONG],
        },
        {"worker_id", "outcomes[0].lease_id", "outcomes[1].lease_id", "succeeded_lease_ids[0]"},
    ),
    "QueueService/CreateQueue": ({"queue": QUEUE}, below("queue", QUEUE_PATHS)),
    "QueueService/GetQueue": ({"name": "No"}, {"name"}),
    "QueueService/ListQueues": (PAGE, {*PAGE}),
    "QueueService/UpdateQueue": (
        {"queue": QUEUE, "update_mask": "a"},
        below("queue", QUEUE_PATHS) | {"update_mask"},
    ),
    "QueueService/DeleteQueue": ({"name": "No"}, {"name"}),
    "QueueService/PauseQueue": (
        {"name": "No", "reason": LONG, "duration": BAD_SECONDS},
        {"name", "reason", "duration"},
    ),
    "QueueService/ResumeQueue": ({"name": "No"}, {"name"}),
    "QueueService/PurgeQueue": ({"name": "No", "reason": LONG}, {"name", "reason"}),
    "QueueService/GetQueueStats": ({"queues": ["No", "ok", "Nor"]}, {"queues[0]", "queues[2]"}),
    "QueueService/GetQueueHistory": (
        {"queue": "No", "window": BAD_SECONDS, "step": BAD_SECONDS},
        {"queue", "window", "step"},
    ),
    "QueueService/ListWorkers": ({"queue": "No", **PAGE}, {"queue", *PAGE}),
    "QueueService/DrainWorker": ({"worker_id": "", "reason": LONG}, {"worker_id", "reason"}),
    "ExternalScaler/IsActive": (
        {"scaler_metadata": {"Queue": "q", "by": "No", "targetValue": "No"}},
        below_scaler := {
            "scaler_metadata['Queue']",
            "scaler_metadata['queue']",
            "scaler_metadata['by']",
            "scaler_metadata['targetValue']",
        },
    ),
}
CASES |= {
    f"ExternalScaler/{name}": CASES["ExternalScaler/IsActive"]
    for name in ("StreamIsActive", "GetMetricSpec")
}
CASES["ExternalScaler/GetMetrics"] = (
    {"scaled_object_ref": CASES["ExternalScaler/IsActive"][0]},
    {f"scaled_object_ref.{path}" for path in below_scaler},
)
METHODS = {
    f"{service.name}/{method.name}": method
    for file in (job_service_pb2, worker_service_pb2, queue_service_pb2, externalscaler_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def test_every_call_with_fields_has_a_case() -> None:
    # A defect on the stream of `Work` is a violation of its protocol, told in words.
    assert CASES.keys() == METHODS.keys() - {"WorkerService/Work"}


async def _call(channel: aio.Channel, method: MethodDescriptor, request: Any) -> None:
    path = f"/{method.containing_service.full_name}/{method.name}"
    coders = (type(request).SerializeToString, GetMessageClass(method.output_type).FromString)
    if method.client_streaming:
        call = channel.stream_stream(path, *coders)(iter([request]))
    elif method.server_streaming:
        call = channel.unary_stream(path, *coders)(request)
    else:
        await channel.unary_unary(path, *coders)(request)
        return
    async for _ in call:
        pass


@pytest.mark.parametrize("name", CASES)
async def test_refusal_names_every_wrong_field(channel: aio.Channel, name: str) -> None:
    fields, wrong = CASES[name]
    method = METHODS[name]
    request = json_format.ParseDict(fields, GetMessageClass(method.input_type)())

    refusal = await refused(_call(channel, method, request))

    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert set(refusal.fields) == wrong
    assert refusal.message.startswith(refusal.fields[0])
