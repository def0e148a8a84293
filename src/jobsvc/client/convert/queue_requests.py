"""Builds the requests of `QueueService`. Pure."""

import json
from collections.abc import Sequence

from jobsvc.client.convert.run_policy import duration_message, write_run_policy
from jobsvc.client.queue import QueueOptions
from jobsvc.v1 import queue_service_pb2


def declare_request(
    name: str, options: QueueOptions, keep_newer_schema: bool
) -> queue_service_pb2.UpdateQueueRequest:
    """Returns the request that makes a queue, or changes the given options of an existing one."""
    queue = queue_service_pb2.Queue(name=name)
    if "input_schema" in options:
        queue.input_schema.json_schema_text = json.dumps(dict(options["input_schema"]))
    if "output_schema" in options:
        queue.output_schema.json_schema_text = json.dumps(dict(options["output_schema"]))
    if "lease" in options:
        queue.lease_duration.CopyFrom(duration_message(options["lease"]))
    write_run_policy(
        queue,
        options.get("retry"),
        options.get("attempt_timeout"),
        options.get("retention"),
        options.get("start_within"),
    )
    return queue_service_pb2.UpdateQueueRequest(
        queue=queue, allow_missing=True, keep_newer_schema=keep_newer_schema
    )


def stats_request(queues: Sequence[str]) -> queue_service_pb2.GetQueueStatsRequest:
    """Returns the request that counts the jobs and workers of queues; of all for no names."""
    return queue_service_pb2.GetQueueStatsRequest(queues=queues)
