"""Declares the queues of a worker's processors, through `QueueService.UpdateQueue`."""

import json
import logging

import grpc
from google.protobuf.field_mask_pb2 import FieldMask

from jobsvc.v1 import queue_service_pb2_grpc
from jobsvc.v1.job_pb2 import RetryPolicy
from jobsvc.v1.queue_service_pb2 import Queue, UpdateQueueRequest
from jobsvc.worker.bound_processor import BoundProcessor
from jobsvc.worker.duration import to_duration
from jobsvc.worker.stream_end import end_of
from jobsvc.worker.work_stream import OPEN_SECONDS, StreamFailed

#: The server lacks the service, or the worker the permission: an operator
#: declares the queues in another way.
_TOLERATED = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED)

#: What to do about a warning of the server, by its reason.
_WAYS_OUT = {
    "SCHEMA_SUPERSEDED": "; this worker is older than the queue (to roll back: --take-back)"
}

log = logging.getLogger("jobsvc.worker")


def declaration(bound: BoundProcessor, take_back: bool) -> UpdateQueueRequest | None:
    """Returns the change that declares a processor's queue; None if there is none. Pure.

    The mask covers only the fields that the processor sets. With `take_back` the queue takes
    back schemas that it has replaced since.
    """
    processor = bound.processor
    queue = Queue(name=processor.queue)
    paths = []
    if bound.input_schema is not None:
        queue.input_schema.json_schema_text = json.dumps(bound.input_schema)
        paths.append("input_schema")
    if bound.output_schema is not None:
        queue.output_schema.json_schema_text = json.dumps(bound.output_schema)
        paths.append("output_schema")
    if processor.attempt_timeout is not None:
        queue.attempt_timeout.CopyFrom(to_duration(processor.attempt_timeout))
        paths.append("attempt_timeout")
    if processor.lease_duration is not None:
        queue.lease_duration.CopyFrom(to_duration(processor.lease_duration))
        paths.append("lease_duration")
    if (retry := processor.retry) is not None:
        policy = RetryPolicy(
            max_attempts=retry.max_attempts, backoff_multiplier=retry.backoff_multiplier
        )
        if retry.initial_backoff is not None:
            policy.initial_backoff.CopyFrom(to_duration(retry.initial_backoff))
        if retry.max_backoff is not None:
            policy.max_backoff.CopyFrom(to_duration(retry.max_backoff))
        queue.retry_policy.CopyFrom(policy)
        paths.append("retry_policy")
    if not paths:
        return None
    return UpdateQueueRequest(
        queue=queue,
        update_mask=FieldMask(paths=paths),
        allow_missing=True,
        keep_newer_schema=not take_back,
    )


async def declare(
    channel: grpc.aio.Channel,
    processors: list[BoundProcessor],
    take_back: bool,
    metadata: tuple[tuple[str, str], ...] = (),
) -> None:
    """Declares the queues. Logs a warning where the server does not allow it, and those that it
    answers with.

    Raises:
        StreamFailed: the server returned any other error.
    """
    queues = queue_service_pb2_grpc.QueueServiceStub(channel)
    for bound in processors:
        request = declaration(bound, take_back)
        if request is None:
            continue
        try:
            response = await queues.UpdateQueue(request, timeout=OPEN_SECONDS, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            end = end_of(error)
            if end.code not in _TOLERATED:
                raise StreamFailed(end) from None
            log.warning(
                "queue %s is not declared: %s: %s", request.queue.name, end.code.name, end.message
            )
            continue
        for warning in response.warnings:
            log.warning(
                "queue %s: %s: %s: %s",
                request.queue.name,
                warning.field,
                warning.reason,
                warning.message + _WAYS_OUT.get(warning.reason, ""),
            )
