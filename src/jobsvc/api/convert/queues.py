"""Queues into the domain and out of it."""

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

from google.protobuf.field_mask_pb2 import FieldMask

from jobsvc.api.convert.job_requests import retry_fields
from jobsvc.api.convert.payloads import struct_dict
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.times import duration, timestamp
from jobsvc.domain.payload import PayloadInvalid
from jobsvc.domain.queue import Queue, QueueCounts, QueuePolicy
from jobsvc.domain.schema import Schema, SchemaInvalid
from jobsvc.v1 import payload_pb2
from jobsvc.v1 import queue_service_pb2 as pb

_MAX_SCHEMA_BYTES = 1024 * 1024
#: What `update_mask` may name. `retry_policy` stands for all that is below it.
_FIELDS = (
    "input_schema",
    "output_schema",
    "retry_policy",
    "attempt_timeout",
    "lease_duration",
    "retention",
)


def queue_change(message: pb.Queue, mask: FieldMask | None) -> Callable[[Queue], QueuePolicy]:
    """What a call changes of a queue: the fields that the mask names, or else all that are set.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    checks = RequestChecks()
    checks.queue("queue.name", message.name)
    if mask is None or not mask.paths:
        paths = {field.name for field, _ in message.ListFields()} & set(_FIELDS)
    else:
        paths = set(mask.paths)
        if "*" in paths:
            paths = set(_FIELDS)
        for path in sorted(paths - set(_FIELDS)):
            checks.add("update_mask", f"{path[:80]!r} cannot be changed")
    attempts, initial, most, factor = retry_fields(
        checks, "queue.retry_policy", message.retry_policy
    )
    wanted = QueuePolicy(
        input_schema=_schema(checks, "queue.input_schema", message, "input_schema"),
        output_schema=_schema(checks, "queue.output_schema", message, "output_schema"),
        max_attempts=attempts,
        initial_backoff_seconds=initial,
        max_backoff_seconds=most,
        backoff_multiplier=factor,
        attempt_timeout_seconds=_seconds(checks, message, "attempt_timeout", 1, 604_800),
        lease_seconds=_seconds(checks, message, "lease_duration", 5, 3600),
        retention_seconds=_seconds(checks, message, "retention"),
    )
    checks.raise_if_violated()
    changed = {name: getattr(wanted, name) for name in _names(paths)}
    return lambda queue: replace(queue.policy, **changed)


def _names(paths: Iterable[str]) -> Iterable[str]:
    for path in paths:
        match path:
            case "retry_policy":
                yield from (
                    "max_attempts",
                    "initial_backoff_seconds",
                    "max_backoff_seconds",
                    "backoff_multiplier",
                )
            case "attempt_timeout" | "retention":
                yield f"{path}_seconds"
            case "lease_duration":
                yield "lease_seconds"
            case _:
                yield path


def queue_message(queue: Queue) -> pb.Queue:
    """A queue as it is sent; what it leaves to the server stays unset."""
    policy = queue.policy
    message = pb.Queue(
        name=queue.name,
        state=pb.QUEUE_STATE_PAUSED if queue.paused else pb.QUEUE_STATE_ACTIVE,
        create_time=timestamp(queue.create_time),
        update_time=timestamp(queue.update_time),
        etag=queue.etag,
    )
    for definition, schema in (
        (policy.input_schema, message.input_schema),
        (policy.output_schema, message.output_schema),
    ):
        if definition is not None:
            schema.json_schema.update(json.loads(definition))
    if policy.max_attempts is not None:
        message.retry_policy.max_attempts = policy.max_attempts
    if policy.initial_backoff_seconds is not None:
        message.retry_policy.initial_backoff.CopyFrom(duration(policy.initial_backoff_seconds))
    if policy.max_backoff_seconds is not None:
        message.retry_policy.max_backoff.CopyFrom(duration(policy.max_backoff_seconds))
    if policy.backoff_multiplier is not None:
        message.retry_policy.backoff_multiplier = policy.backoff_multiplier
    for seconds, field in (
        (policy.attempt_timeout_seconds, message.attempt_timeout),
        (policy.lease_seconds, message.lease_duration),
        (policy.retention_seconds, message.retention),
    ):
        if seconds is not None:
            field.CopyFrom(duration(seconds))
    return message


def stats_message(counts: QueueCounts) -> pb.QueueStats:
    """How a queue is doing, as it is sent."""
    message = pb.QueueStats(
        queue=counts.name,
        state=pb.QUEUE_STATE_PAUSED if counts.paused else pb.QUEUE_STATE_ACTIVE,
        scheduled_count=counts.scheduled,
        ready_count=counts.ready,
        processing_count=counts.processing,
        worker_count=counts.workers,
        open_window=counts.open_window,
    )
    if counts.oldest_ready_seconds is not None:
        message.oldest_ready_age.CopyFrom(duration(counts.oldest_ready_seconds))
    return message


def _seconds(
    checks: RequestChecks,
    message: pb.Queue,
    field: str,
    least: float = 0,
    most: float | None = None,
) -> float | None:
    if not message.HasField(field):  # type: ignore[arg-type]  # a name from _FIELDS
        return None
    value = getattr(message, field)
    if most is None:
        return checks.seconds(f"queue.{field}", value, least)
    return checks.seconds(f"queue.{field}", value, least, most)


def _schema(checks: RequestChecks, path: str, message: pb.Queue, field: str) -> str | None:
    """A schema as JSON text that equal schemas share; None for none."""
    schema: payload_pb2.PayloadSchema = getattr(message, field)
    if schema.WhichOneof("definition") is None:
        return None
    if schema.ByteSize() > _MAX_SCHEMA_BYTES:
        checks.add(path, f"must have at most {_MAX_SCHEMA_BYTES} bytes")
        return None
    try:
        text = json.dumps(struct_dict(schema.json_schema), sort_keys=True, ensure_ascii=False)
        Schema(text)
    except (SchemaInvalid, PayloadInvalid) as defect:
        checks.add(f"{path}.json_schema", f"{defect}")
        return None
    return text
