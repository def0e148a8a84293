"""Builds the requests of `QueueService`. Pure."""

import json
from collections.abc import Sequence
from datetime import datetime

from jobsvc.client.convert.run_policy import duration_message, write_run_policy
from jobsvc.client.duration import Duration
from jobsvc.client.queue import QueueOptions
from jobsvc.v1 import queue_service_pb2


def declare_request(
    name: str, options: QueueOptions, keep_newer_schema: bool
) -> queue_service_pb2.UpdateQueueRequest:
    """Returns the request that makes a queue, or changes the given options of an existing one."""
    return queue_service_pb2.UpdateQueueRequest(
        queue=_queue(name, options), allow_missing=True, keep_newer_schema=keep_newer_schema
    )


def create_queue_request(name: str, options: QueueOptions) -> queue_service_pb2.CreateQueueRequest:
    """Returns the request that makes a queue."""
    return queue_service_pb2.CreateQueueRequest(queue=_queue(name, options))


def pause_request(
    name: str, reason: str, until: datetime | None, duration: Duration | None, etag: str
) -> queue_service_pb2.PauseQueueRequest:
    """Returns the request that pauses a queue, until a time or for so long.

    Raises:
        ValueError: both ends are given, or `until` has no time zone.
    """
    request = queue_service_pb2.PauseQueueRequest(name=name, reason=reason, etag=etag)
    if until is not None and duration is not None:
        raise ValueError("a pause ends at `until`, or after `duration`: give one of them")
    if until is not None:
        if until.tzinfo is None:
            raise ValueError("`until` needs a time zone")
        request.end_time.FromDatetime(until)
    if duration is not None:
        request.duration.CopyFrom(duration_message(duration))
    return request


def _queue(name: str, options: QueueOptions) -> queue_service_pb2.Queue:
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
    if "max_waiting" in options:
        queue.max_waiting = options["max_waiting"]
    return queue


def stats_request(queues: Sequence[str], recent: bool) -> queue_service_pb2.GetQueueStatsRequest:
    """Returns the request that counts the jobs and workers of queues; of all for no names."""
    return queue_service_pb2.GetQueueStatsRequest(queues=queues, with_recent=recent)


def history_request(
    queue: str, window: Duration | None, step: Duration | None
) -> queue_service_pb2.GetQueueHistoryRequest:
    """Returns the request for the history of a queue; None leaves the length to the server."""
    request = queue_service_pb2.GetQueueHistoryRequest(queue=queue)
    if window is not None:
        request.window.CopyFrom(duration_message(window))
    if step is not None:
        request.step.CopyFrom(duration_message(step))
    return request
