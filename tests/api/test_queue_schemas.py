"""The two spellings of a schema, and the warnings about what it may not mean."""

import json
from typing import Any

import grpc
import pytest

from jobsvc.v1 import queue_service_pb2 as pb
from jobsvc.v1.payload_pb2 import PayloadSchema
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.fixtures import Tables
from tests.api.support.refusal import refused

_INVALID = (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
_BEYOND = 2**53 + 1


def as_text(definition: Any) -> PayloadSchema:
    return PayloadSchema(json_schema_text=json.dumps(definition))


def as_struct(definition: dict[str, Any]) -> PayloadSchema:
    message = PayloadSchema()
    message.json_schema.update(definition)
    return message


async def _update(queues: QueueServiceStub, schema: PayloadSchema) -> pb.UpdateQueueResponse:
    queue = pb.Queue(name="q", input_schema=schema)
    return await queues.UpdateQueue(pb.UpdateQueueRequest(queue=queue, allow_missing=True))


async def _get(queues: QueueServiceStub) -> pb.Queue:
    return (await queues.GetQueue(pb.GetQueueRequest(name="q"))).queue


async def test_a_schema_is_the_same_in_both_spellings(queues: QueueServiceStub) -> None:
    definition = {"properties": {"a": {"maximum": 2**53 - 1, "minimum": -0.5}}, "required": ["a"]}
    first = await _update(queues, as_struct(definition))
    second = await _update(queues, as_text(definition))
    assert second.queue == first.queue == await _get(queues)
    assert second.queue.input_schema == as_struct(definition)


async def test_a_schema_that_a_struct_cannot_hold_comes_back_as_text(
    queues: QueueServiceStub,
) -> None:
    await _update(queues, as_text({"properties": {"a": {"const": _BEYOND}}}))
    got = (await _get(queues)).input_schema
    assert got.WhichOneof("definition") == "json_schema_text"
    assert json.loads(got.json_schema_text) == {"properties": {"a": {"const": _BEYOND}}}
    assert (await _update(queues, got)).queue == await _get(queues)


_BAD: list[tuple[PayloadSchema, str]] = [
    (as_struct({"properties": {"a": {"maximum": 2**53}}}), ".json_schema.properties.a.maximum"),
    (as_struct({"enum": [1, {"a": -1e300}]}), ".json_schema.enum[1].a"),
    (PayloadSchema(json_schema_text=""), ".json_schema_text"),
    (PayloadSchema(json_schema_text="[]"), ".json_schema_text"),
    (PayloadSchema(json_schema_text="true"), ".json_schema_text"),
    (PayloadSchema(json_schema_text='{"a": 1, "a": 1}'), ".json_schema_text"),
    (PayloadSchema(json_schema_text='{"maximum": 1e400}'), ".json_schema_text.maximum"),
    (PayloadSchema(json_schema_text='{"const": "\\ud800"}'), ".json_schema_text"),
    (PayloadSchema(json_schema_text='{"not":' * 100_000), ".json_schema_text"),
    (
        as_text({"properties": {"a": {"pattern": "(?=b)"}}}),
        ".json_schema_text.properties.a.pattern",
    ),
    (as_text({"description": "x" * 1024 * 1024}), ""),
    (PayloadSchema(), ""),
]


@pytest.mark.parametrize(("schema", "place"), _BAD, ids=range(len(_BAD)))
async def test_what_is_no_schema_is_refused_by_its_place(
    queues: QueueServiceStub, tables: Tables, schema: PayloadSchema, place: str
) -> None:
    before = await tables()
    refusal = await refused(_update(queues, schema))
    assert (refusal.what, refusal.fields) == (_INVALID, [f"queue.input_schema{place}"])
    assert await tables() == before


async def test_what_is_not_portable_is_answered_with_a_warning_and_stands(
    queues: QueueServiceStub,
) -> None:
    response = await _update(queues, as_text({"properties": {"a": {"pattern": r"^\p{L}+$"}}}))
    (warning,) = response.warnings
    assert warning.field == "queue.input_schema.json_schema_text.properties.a.pattern"
    assert warning.reason == "SCHEMA_NOT_PORTABLE"
    assert "not every language" in warning.message
    assert (await _get(queues)).HasField("input_schema")
    assert not (await _update(queues, as_text({"type": "object"}))).warnings


async def test_a_schema_that_takes_no_ordinary_payload_is_answered_with_a_warning(
    queues: QueueServiceStub,
) -> None:
    response = await _update(queues, as_struct({"properties": {"a": {"pattern": "x[a-z]{99}"}}}))
    (warning,) = response.warnings
    assert (warning.field, warning.reason) == ("queue.input_schema", "SCHEMA_COSTLY")
    assert "bytes is refused" in warning.message
