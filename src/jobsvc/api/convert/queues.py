"""Reads queues from messages into the domain, and writes them into messages."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from google.protobuf.field_mask_pb2 import FieldMask

from jobsvc.api.convert.payloads import fill_struct_in_slices, struct_dict
from jobsvc.api.convert.request_checks import RequestChecks
from jobsvc.api.convert.run_policy import (
    OPTION_PATHS,
    fields_below,
    read_run_policy,
    write_run_policy,
)
from jobsvc.api.convert.times import duration, timestamp, write_duration, write_timestamp
from jobsvc.domain.limits import MAX_LEASE_SECONDS, MIN_LEASE_SECONDS
from jobsvc.domain.payload import (
    PayloadInvalid,
    parse_payload,
    place_beyond,
    place_beyond_steps,
)
from jobsvc.domain.portable_schema import portability_warnings
from jobsvc.domain.queue import Queue, QueueCounts, QueuePolicy, QueueWarning
from jobsvc.domain.schema import Schema, SchemaInvalid
from jobsvc.domain.schema_graph import MAX_SCHEMA_LEVELS
from jobsvc.event_loop.time_slice import in_slices
from jobsvc.event_loop.turns import turn
from jobsvc.v1 import payload_pb2
from jobsvc.v1 import queue_service_pb2 as pb

_MAX_WAITING = 1_000_000_000
_MAX_SCHEMA_BYTES = 1024 * 1024
#: The largest payload by default; a schema should do for it.
_ORDINARY_BYTES = 256 * 1024
#: A number beyond may stand for its neighbour in a Struct.
_LARGEST_EXACT = 2**53 - 1
#: Makes such numbers easy to find: they have 16 digits or an exponent.
_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")
#: Fields of a queue that are not run options, with their names in QueuePolicy.
_OWN_FIELDS = {
    "input_schema": "input_schema",
    "output_schema": "output_schema",
    "lease_duration": "lease_seconds",
    "max_waiting": "max_waiting",
}
#: Paths that `update_mask` may name.
_PATHS = (*_OWN_FIELDS, *OPTION_PATHS)


@dataclass(frozen=True, slots=True)
class QueueChange:
    """The change of a queue that a call asks for, and what may not be meant about it."""

    apply: Callable[[Queue], QueuePolicy]
    warnings: list[QueueWarning]


def queue_change(message: pb.Queue, mask: FieldMask | None) -> QueueChange:
    """The change that a call asks for: of the fields that the mask names, or of all that are set.

    Compiling a large schema takes up to a second: call it in a thread.

    Raises:
        InvalidRequest: a field breaks a rule of the contract.
    """
    checks = RequestChecks()
    warnings: list[QueueWarning] = []
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
        input_schema=_schema(checks, warnings, message, "input_schema"),
        output_schema=_schema(checks, warnings, message, "output_schema"),
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
        max_waiting=checks.number("queue.max_waiting", message.max_waiting, 0, _MAX_WAITING)
        or None,
    )
    checks.raise_if_violated()
    own = {name: getattr(asked, name) for path, name in _OWN_FIELDS.items() if path in paths}
    options = {name: getattr(asked.run_policy, name) for name in fields_below(paths)}

    def change(queue: Queue) -> QueuePolicy:
        before = queue.policy
        run_policy = msgspec.structs.replace(before.run_policy, **options)
        return replace(before, run_policy=run_policy, **own)

    return QueueChange(change, warnings)


def write_warnings(
    response: pb.UpdateQueueResponse | pb.CreateQueueResponse, warnings: Iterable[QueueWarning]
) -> None:
    """Writes what may not be meant about a change into the answer to it."""
    for warning in warnings:
        response.warnings.add(field=warning.field, reason=warning.reason, message=warning.message)


async def queue_message(queue: Queue) -> pb.Queue:
    """A queue as a message; options that it leaves to the server stay unset. Lets other tasks run
    meanwhile if that takes long."""
    policy = queue.policy
    message = pb.Queue(
        name=queue.name,
        state=_state(queue.pause is not None, queue.deleting),
        create_time=timestamp(queue.create_time),
        update_time=timestamp(queue.update_time),
        etag=queue.etag,
        max_waiting=policy.max_waiting,
    )
    if queue.pause is not None:
        message.pause_reason = queue.pause.reason
        if queue.pause.end_time is not None:
            write_timestamp(message.pause_end_time, queue.pause.end_time)
    for definition, schema in (
        (policy.input_schema, message.input_schema),
        (policy.output_schema, message.output_schema),
    ):
        if definition is not None:
            await _write_schema(schema, definition)
    if policy.lease_seconds is not None:
        write_duration(message.lease_duration, policy.lease_seconds)
    write_run_policy(message, policy.run_policy)
    return message


def stats_message(counts: QueueCounts) -> pb.QueueStats:
    """The counts of a queue as a message."""
    message = pb.QueueStats(
        queue=counts.name,
        state=_state(counts.paused, counts.deleting),
        scheduled_count=counts.scheduled,
        ready_count=counts.ready,
        processing_count=counts.processing,
        worker_count=counts.workers,
        open_window=counts.open_window,
    )
    if counts.oldest_ready_seconds is not None:
        message.oldest_ready_age.CopyFrom(duration(counts.oldest_ready_seconds))
    return message


def _state(paused: bool, deleting: bool) -> pb.QueueState.ValueType:
    if deleting:
        return pb.QUEUE_STATE_DELETING
    return pb.QUEUE_STATE_PAUSED if paused else pb.QUEUE_STATE_ACTIVE


async def _write_schema(message: payload_pb2.PayloadSchema, definition: str) -> None:
    alike = definition.encode().translate(_ALIKE)
    # Searching is a hundred times as fast as looking at each value.
    suspect = b"0" * 16 in alike or b"0e" in alike
    inexact = None
    if suspect:
        await turn()
        steps = place_beyond_steps(json.loads(definition), _LARGEST_EXACT)
        inexact = await in_slices(steps)
    if inexact is not None:
        message.json_schema_text = definition
    else:
        await fill_struct_in_slices(message.json_schema, definition)


def _schema(
    checks: RequestChecks, warnings: list[QueueWarning], message: pb.Queue, field: str
) -> str | None:
    """A schema as JSON text, equal for equal schemas; None if there is none."""
    path = f"queue.{field}"
    schema: payload_pb2.PayloadSchema = getattr(message, field)
    definition = schema.WhichOneof("definition")
    if definition is None:
        if message.HasField(field):  # type: ignore[arg-type]  # one of two
            checks.add(path, "is set without json_schema or json_schema_text")
        return None
    if schema.ByteSize() > _MAX_SCHEMA_BYTES:
        checks.add(path, f"must have at most {_MAX_SCHEMA_BYTES} bytes")
        return None
    try:
        document = _document(schema)
        text = json.dumps(document, sort_keys=True, ensure_ascii=False)
        compiled = Schema(text)
    except (PayloadInvalid, SchemaInvalid) as defect:
        checks.add(f"{path}.{definition}{defect.place}", f"{defect}")
        return None
    warnings += [
        QueueWarning(f"{path}.{definition}{place}"[:300], "SCHEMA_NOT_PORTABLE", why)
        for place, why in portability_warnings(document)
    ]
    if compiled.max_bytes < _ORDINARY_BYTES:
        limit = f"a payload of more than {compiled.max_bytes} bytes is refused: its check by this"
        why = f"{limit} schema could take too long; have fewer sub-schemas apply to one value"
        warnings.append(QueueWarning(path, "SCHEMA_COSTLY", why))
    return text


def _document(schema: payload_pb2.PayloadSchema) -> dict[str, Any]:
    if schema.WhichOneof("definition") == "json_schema_text":
        return parse_payload(schema.json_schema_text, MAX_SCHEMA_LEVELS)
    document = struct_dict(schema.json_schema)
    place = place_beyond(document, _LARGEST_EXACT)
    if place is not None:
        raise PayloadInvalid(
            "is 2^53 or more and may have been rounded; send the schema as json_schema_text", place
        )
    return document
