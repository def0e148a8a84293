"""Structs as other languages send them: with parts that their library has dropped, or too deep."""

import json
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value
from grpc import aio

from jobsvc.v1 import job_pb2, queue_service_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from jobsvc.v1.payload_pb2 import PAYLOAD_ENCODING_JSON_TEXT, Payload, PayloadSchema
from jobsvc.v1.queue_service_pb2_grpc import QueueServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import Refusal, refused

_INVALID = grpc.StatusCode.INVALID_ARGUMENT


def _struct(**fields: Value) -> Payload:
    return Payload(json=Struct(fields=fields))


def _object(**fields: Value) -> Value:
    return Value(struct_value=Struct(fields=fields))


def _list(*values: Value) -> Value:
    return Value(list_value=ListValue(values=values))


#: With the path at fault.
_DROPPED = {
    "encoding": (Payload(), "spec.input"),
    "kind": (_struct(a=Value()), "spec.input.json.a"),
    "kind in an object": (_struct(a=_object(b=Value())), "spec.input.json.a.b"),
    "kind in a list": (
        _struct(a=_list(Value(number_value=1), _list(), _object(), _object(b=Value()))),
        "spec.input.json.a[3].b",
    ),
}


async def _refused(jobs: JobServiceStub, queue: str, payload: Payload) -> Refusal:
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue, input=payload))
    return await refused(jobs.CreateJob(request))


@pytest.mark.parametrize(("payload", "path"), _DROPPED.values(), ids=_DROPPED.keys())
async def test_payload_that_lost_a_part_is_refused_with_a_hint(
    jobs: JobServiceStub, queue: str, tables: Tables, payload: Payload, path: str
) -> None:
    before = await tables()
    refusal = await _refused(jobs, queue, payload)
    assert refusal.what == (_INVALID, "PAYLOAD_REJECTED")
    assert refusal.fields == [path]
    assert "json_text" in refusal.message
    assert await tables() == before


async def test_schema_that_lost_a_part_is_refused_by_its_path(queues: QueueServiceStub) -> None:
    schema = PayloadSchema(json_schema=Struct(fields={"enum": _list(Value())}))
    queue = queue_service_pb2.Queue(name="q", input_schema=schema)
    request = queue_service_pb2.UpdateQueueRequest(queue=queue, allow_missing=True)
    refusal = await refused(queues.UpdateQueue(request))
    assert refusal.what == (_INVALID, "INVALID_REQUEST")
    assert refusal.fields == ["queue.input_schema.json_schema.enum[0]"]


async def test_null_is_a_kind(create: Create, jobs: JobServiceStub) -> None:
    job = await create(input=_struct(a=Value(null_value=NULL_VALUE)))
    read = pb.GetJobRequest(job_id=job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    assert json.loads((await jobs.GetJob(read)).job.spec.input.json_text) == {"a": None}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (2.0**53, "9007199254740992"),
        (-(2.0**63), "-9223372036854775808"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (0.5, "0.5"),
    ],
)
async def test_whole_double_is_written_as_an_integer(
    create: Create, jobs: JobServiceStub, number: float, text: str
) -> None:
    job = await create(input=_struct(a=Value(number_value=number)))
    read = pb.GetJobRequest(job_id=job.id, payload_encoding=PAYLOAD_ENCODING_JSON_TEXT)
    assert (await jobs.GetJob(read)).job.spec.input.json_text == f'{{"a":{text}}}'


@pytest.mark.parametrize("spec", [{}, {"input": _struct()}, {"input": Payload(json_text="{}")}])
async def test_empty_object_may_be_spelled_or_left_out(
    create: Create, jobs: JobServiceStub, spec: dict[str, Any]
) -> None:
    job = await create(**spec)
    read = (await jobs.GetJob(pb.GetJobRequest(job_id=job.id))).job
    assert not read.spec.input.json.fields


def _field(number: int, content: bytes) -> bytes:
    """A field of a message, encoded by hand: protobuf writes no message that it would not read."""
    size, length = len(content), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | 2, *length]) + content


def _create(queue: str, levels: int, in_lists: bool) -> bytes:
    """A CreateJobRequest whose input nests so many levels: objects, or lists in an object."""

    def in_object(value: bytes) -> bytes:
        return _field(1, _field(1, b"a") + _field(2, value))

    value = _field(6 if in_lists else 5, b"")
    for _ in range(levels - 2):
        value = _field(6, _field(1, value)) if in_lists else _field(5, in_object(value))
    payload = _field(1, in_object(value))
    return _field(1, _field(1, queue.encode()) + _field(2, payload))


async def _refused_bytes(channel: aio.Channel, request: bytes) -> Refusal:
    method = "/jobsvc.v1.JobService/CreateJob"
    return await refused(channel.unary_unary(method)(request))


@pytest.mark.parametrize(("levels", "in_lists"), [(33, False), (33, True), (48, True)])
async def test_struct_that_nests_too_deep_is_told_the_limit_as_a_text_is(
    channel: aio.Channel, queue: str, levels: int, in_lists: bool
) -> None:
    refusal = await _refused_bytes(channel, _create(queue, levels, in_lists))
    assert refusal.what == (_INVALID, "PAYLOAD_REJECTED")
    assert refusal.fields == ["spec.input.json"]
    assert refusal.message == "spec.input.json: nests deeper than 32 levels"


@pytest.mark.parametrize(("levels", "in_lists"), [(34, False), (50, True), (5000, True)])
async def test_struct_too_deep_for_the_parser_is_told_the_likely_cause(
    channel: aio.Channel, queue: str, levels: int, in_lists: bool
) -> None:
    refusal = await _refused_bytes(channel, _create(queue, levels, in_lists))
    assert refusal.what == (_INVALID, "INVALID_REQUEST")
    assert refusal.fields == ["request"]
    assert "deeper than 100 messages" in refusal.message
    assert "32 levels" in refusal.message
