"""Facts about every method: it is there or says that it is not, and survives garbage."""

from collections.abc import Iterable
from typing import Any

import grpc
import pytest
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from grpc import aio

from jobsvc.api.server import SERVICES
from jobsvc.v1 import job_pb2
from jobsvc.v1 import job_service_pb2 as pb
from jobsvc.v1.job_service_pb2_grpc import JobServiceStub
from tests.api.support.fixtures import Create, Tables
from tests.api.support.refusal import refused

_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_POOL = descriptor_pool.Default()
_METHODS: dict[str, MethodDescriptor] = {
    method.name: method for name in SERVICES for method in _POOL.FindServiceByName(name).methods
}
#: Methods that answer a request without any field.
_ALL_OPTIONAL = {
    "ListJobs",
    "CountJobs",
    "ListBulkOperations",
    "WatchJobs",
    "ListQueues",
    "GetQueueStats",
    "ListWorkers",
    "Submit",
}
#: Bytes that are no message of any type: a cut field, a bad wire type, bad UTF-8, deep nesting.
_GARBAGE = {
    "cut": b"\x0a\xff",
    "wire type 7": b"\x0f\x00",
    "field 0": b"\x00\x01",
    "noise": bytes(range(256)),
}


def _call(channel: aio.Channel, method: MethodDescriptor, data: bytes, **options: Any) -> Any:
    """Calls a method with these bytes as its request, and awaits the first answer."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    if method.client_streaming:
        stream = channel.stream_stream(path)(iter([data]), **options)
        return _second(stream) if method.name == "Submit" else stream.read()
    if method.server_streaming:
        return channel.unary_stream(path)(data, **options).read()
    return channel.unary_unary(path)(data, **options)


async def _second(stream: aio.StreamStreamCall) -> Any:
    """The server of this stream speaks first."""
    await stream.read()
    return await stream.read()


def test_every_method_of_the_contract_is_known() -> None:
    assert len(_METHODS) == 38


async def _each_refused(
    channel: aio.Channel, names: Iterable[str], data: bytes, **options: Any
) -> dict[str, tuple[grpc.StatusCode, str]]:
    """Code and reason with which each method refuses these bytes."""
    return {
        name: (await refused(_call(channel, _METHODS[name], data, **options))).what
        for name in names
    }


@pytest.mark.parametrize("path", ["/jobsvc.v1.JobService/Nothing", "/no.Service/GetJob", "/", "/x"])
async def test_unknown_method_is_unimplemented(channel: aio.Channel, path: str) -> None:
    refusal = await refused(channel.unary_unary(path)(b""))
    assert refusal.code == grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("garbage", _GARBAGE.values(), ids=_GARBAGE.keys())
async def test_garbage_is_refused_by_every_method(
    create: Create, channel: aio.Channel, tables: Tables, garbage: bytes
) -> None:
    await create()
    before = await tables()
    answers = await _each_refused(channel, _METHODS, garbage)
    assert answers == dict.fromkeys(_METHODS, (_INVALID, "INVALID_REQUEST")) | {
        "Work": (_INVALID, "WORK_PROTOCOL_VIOLATION")
    }
    assert await tables() == before


async def test_empty_request_is_refused_by_every_method_that_needs_something(
    channel: aio.Channel, tables: Tables
) -> None:
    before = await tables()
    names = _METHODS.keys() - _ALL_OPTIONAL
    answers = await _each_refused(channel, names, b"")
    assert {name: code for name, (code, _) in answers.items()} == dict.fromkeys(names, _INVALID)
    assert await tables() == before


async def test_bad_utf8_is_refused(channel: aio.Channel, tables: Tables) -> None:
    before = await tables()
    refusal = await refused(_call(channel, _METHODS["GetJob"], b"\x0a\x02\xc3\x28"))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert await tables() == before


async def test_nesting_over_100_is_refused(
    channel: aio.Channel, queue: str, tables: Tables
) -> None:
    before = await tables()
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue))
    value = request.spec.input.json.fields["a"]
    for _ in range(60):
        value = value.list_value.values.add()
    data = request.SerializeToString()
    refusal = await refused(_call(channel, _METHODS["CreateJob"], data))
    assert refusal.what == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert await tables() == before


async def test_oversize_message_is_refused_by_every_method(channel: aio.Channel) -> None:
    answers = await _each_refused(channel, _METHODS, b"\x0a" * 4_194_305)
    assert answers == dict.fromkeys(_METHODS, (grpc.StatusCode.RESOURCE_EXHAUSTED, ""))


async def test_compressed_bomb_is_refused(channel: aio.Channel) -> None:
    data = b"\x00" * 60_000_000
    options = {"compression": grpc.Compression.Gzip}
    refusal = await refused(_call(channel, _METHODS["GetJob"], data, **options))
    assert refusal.code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_oversize_metadata_is_refused(channel: aio.Channel) -> None:
    options = {"metadata": (("x-large", "x" * 100_000),)}
    refusal = await refused(_call(channel, _METHODS["ListQueues"], b"", **options))
    assert refusal.code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_unknown_fields_do_no_harm(channel: aio.Channel, queue: str) -> None:
    request = pb.CreateJobRequest(spec=job_pb2.JobSpec(queue=queue)).SerializeToString()
    # Field 1000 as a text, and the same inside the spec.
    unknown = b"\xc2\x3e\x03abc"
    spec = job_pb2.JobSpec(queue=queue).SerializeToString() + unknown
    for data in (request + unknown, b"\x0a" + bytes([len(spec)]) + spec):
        answer = await _call(channel, _METHODS["CreateJob"], data)
        assert pb.CreateJobResponse.FromString(answer).job.id


@pytest.mark.parametrize("header", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-00", "é"])
async def test_bad_traceparent_does_no_harm(
    create: Create, jobs: JobServiceStub, header: str
) -> None:
    metadata = (
        ("traceparent", header.encode("ascii", "replace").decode()),
        ("tracestate", ",,="),
    )
    job = await create(metadata=metadata)
    assert job.traceparent == ""
    assert (await jobs.GetJob(pb.GetJobRequest(job_id=job.id), metadata=metadata)).job.id == job.id
