"""Declares what a worker's processors ask of their queues, through `QueueService.UpdateQueue`."""

import logging

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.struct_pb2 import Struct

from jobsvc.v1 import queue_service_pb2_grpc
from jobsvc.v1.job_pb2 import RetryPolicy
from jobsvc.v1.queue_service_pb2 import Queue, UpdateQueueRequest
from jobsvc.worker.bound_processor import Binding
from jobsvc.worker.duration import to_duration
from jobsvc.worker.schema import Schema
from jobsvc.worker.stream_end import end_of
from jobsvc.worker.work_stream import OPEN_SECONDS, StreamFailed

#: A server without the service, or a worker without the right: its operator
#: has declared the queues in another way.
_TOLERATED = (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED)

log = logging.getLogger("jobsvc.worker")


def declaration(binding: Binding) -> UpdateQueueRequest | None:
    """The change that declares a processor's queue; None if it asks for nothing. Pure.

    The mask covers what the processor declares and nothing else.
    """
    processor = binding.processor
    queue = Queue(name=processor.queue)
    paths = []
    if binding.input_schema is not None:
        queue.input_schema.json_schema.CopyFrom(_struct(binding.input_schema))
        paths.append("input_schema")
    if binding.output_schema is not None:
        queue.output_schema.json_schema.CopyFrom(_struct(binding.output_schema))
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
    return UpdateQueueRequest(queue=queue, update_mask=FieldMask(paths=paths), allow_missing=True)


async def declare(channel: grpc.aio.Channel, bindings: list[Binding]) -> None:
    """Declares the queues. Where the server does not let us, a warning is all.

    Raises:
        StreamFailed: any other answer but OK.
    """
    queues = queue_service_pb2_grpc.QueueServiceStub(channel)
    for binding in bindings:
        request = declaration(binding)
        if request is None:
            continue
        try:
            await queues.UpdateQueue(request, timeout=OPEN_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _TOLERATED:
                raise StreamFailed(end_of(error)) from None
            log.warning(
                "queue %s is not declared: %s: %s",
                request.queue.name,
                error.code().name,
                error.details(),
            )


def _struct(schema: Schema) -> Struct:
    struct = Struct()
    struct.update(schema)
    return struct
