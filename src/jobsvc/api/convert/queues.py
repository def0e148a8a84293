"""Reads queues from messages into the domain, and writes them into messages."""

import json
from collections.abc import Callable
from dataclasses import replace

import msgspec
from google.protobuf.field_mask_pb2 import FieldMask

from jobsvc.api.convert.payloads import struct_dict
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.run_policy import (
    OPTION_PATHS,
    fields_below,
    read_run_policy,
    write_run_policy,
)
from jobsvc.api.convert.struct_json import fill_struct
from jobsvc.api.convert.times import duration, timestamp, write_duration
from jobsvc.domain.limits import MAX_LEASE_SECONDS, MIN_LEASE_SECONDS
from jobsvc.domain.payload import PayloadInvalid
from jobsvc.domain.queue import Queue, QueueCounts, QueuePolicy
from jobsvc.domain.schema import Schema, SchemaInvalid
from jobsvc.event_loop.time_slice import at_once
from jobsvc.v1 import payload_pb2
from jobsvc.v1 import queue_service_pb2 as pb

_MAX_SCHEMA_BYTES = 1024 * 1024
#: Fields of a queue that are not run options, with their names in QueuePolicy.
_OWN_FIELDS = {
    "input_schema": "input_schema",
    "output_schema": "output_schema",
    "lease_duration": "lease_seconds",
}
#: Paths that `update_mask` may name.
_PATHS = (*_OWN_FIELDS, *OPTION_PATHS)


def queue_change(message: pb.Queue, mask: FieldMask | None) -> Callable[[Queue], QueuePolicy]:
    """The change of a queue that a call asks for: the fields that the mask names, or all that are
    set.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    checks = RequestChecks()
    checks.queue("queue.name", message.name)
    if mask is None or not mask.paths:
        paths = {field.name for field, _ in message.ListFields()} & set(_PATHS)
    else:
        paths = set(mask.paths)
        if "*" in paths:
            paths = set(_PATHS)
        for path in sorted(paths - set(_PATHS)):
            checks.add("update_mask", f"{path[:80]!r} cannot be changed")
    asked = QueuePolicy(
        input_schema=_schema(checks, "queue.input_schema", message, "input_schema"),
        output_schema=_schema(checks, "queue.output_schema", message, "output_schema"),
        lease_seconds=(
            checks.seconds(
                "queue.lease_duration",
                message.lease_duration,
                MIN_LEASE_SECONDS,
                MAX_LEASE_SECONDS,
            )
            if message.HasField("lease_duration")
            else None
        ),
        run_policy=read_run_policy(checks, "queue", message),
    )
    checks.raise_if_violated()
    own = {name: getattr(asked, name) for path, name in _OWN_FIELDS.items() if path in paths}
    options = {name: getattr(asked.run_policy, name) for name in fields_below(paths)}

    def change(queue: Queue) -> QueuePolicy:
        before = queue.policy
        run_policy = msgspec.structs.replace(before.run_policy, **options)
        return replace(before, run_policy=run_policy, **own)

    return change


def queue_message(queue: Queue) -> pb.Queue:
    """A queue as a message; options that it leaves to the server stay unset."""
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
            at_once(fill_struct(schema.json_schema, definition))
    if policy.lease_seconds is not None:
        write_duration(message.lease_duration, policy.lease_seconds)
    write_run_policy(message, policy.run_policy)
    return message


def stats_message(counts: QueueCounts) -> pb.QueueStats:
    """The counts of a queue as a message."""
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


def _schema(checks: RequestChecks, path: str, message: pb.Queue, field: str) -> str | None:
    """A schema as JSON text, equal for equal schemas; None if there is none."""
    schema: payload_pb2.PayloadSchema = getattr(message, field)
    if schema.WhichOneof("definition") is None:
        return None
    if schema.ByteSize() > _MAX_SCHEMA_BYTES:
        checks.add(path, f"must have at most {_MAX_SCHEMA_BYTES} bytes")
        return None
    try:
        text = json.dumps(struct_dict(schema.json_schema), sort_keys=True, ensure_ascii=False)
        Schema(text)
    except PayloadInvalid as defect:
        checks.add(f"{path}.json_schema{defect.place}", f"{defect}")
        return None
    except SchemaInvalid as defect:
        checks.add(f"{path}.json_schema", f"{defect}")
        return None
    return text
