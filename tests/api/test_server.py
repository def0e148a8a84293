"""The standard services on the same port: reflection and channelz. Health is in test_drain."""

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc import aio
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from jobsvc.api.server import SERVICES
from tests.api.support.fixtures import Create


@pytest.fixture(params=["v1", "v1alpha"])
def version(request: pytest.FixtureRequest) -> str:
    """A version of reflection."""
    return str(request.param)


async def _ask(
    channel: aio.Channel, version: str, **request: str
) -> reflection_pb2.ServerReflectionResponse:
    call = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )()
    await call.write(reflection_pb2.ServerReflectionRequest(**request))
    await call.done_writing()
    return await call.read()


async def test_reflection_lists_every_service(channel: aio.Channel, version: str) -> None:
    listed = (await _ask(channel, version, list_services="")).list_services_response.service
    assert {service.name for service in listed} == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.channelz.v1.Channelz",
        "grpc.reflection.v1alpha.ServerReflection",
        "grpc.reflection.v1.ServerReflection",
    }


@pytest.mark.parametrize(
    "symbol",
    [
        *SERVICES,
        "externalscaler.ScaledObjectRef",
        "jobsvc.v1.Payload",
        "google.rpc.Status",
        "grpc.reflection.v1alpha.ServerReflection",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1.ServerReflectionRequest",
    ],
)
async def test_reflection_describes_services_and_messages(
    channel: aio.Channel, version: str, symbol: str
) -> None:
    file = await _first_file(channel, version, file_containing_symbol=symbol)
    assert symbol in [f"{file.package}.{item.name}" for item in (*file.service, *file.message_type)]
    assert file == await _first_file(channel, version, file_by_filename=file.name)


@pytest.mark.parametrize(
    "symbol",
    ["jobsvc.v1.JobService.CreateJob", "grpc.reflection.v1.ServerReflection.ServerReflectionInfo"],
)
async def test_reflection_describes_methods(
    channel: aio.Channel, version: str, symbol: str
) -> None:
    file = await _first_file(channel, version, file_containing_symbol=symbol)
    assert symbol in [
        f"{file.package}.{service.name}.{method.name}"
        for service in file.service
        for method in service.method
    ]


async def _first_file(
    channel: aio.Channel, version: str, **request: str
) -> descriptor_pb2.FileDescriptorProto:
    files = (await _ask(channel, version, **request)).file_descriptor_response
    return descriptor_pb2.FileDescriptorProto.FromString(files.file_descriptor_proto[0])


async def test_channelz_counts_calls(create: Create, channel: aio.Channel) -> None:
    await create()
    channelz = channelz_pb2_grpc.ChannelzStub(channel)
    servers = (await channelz.GetServers(channelz_pb2.GetServersRequest())).server
    assert any(server.data.calls_succeeded >= 1 for server in servers)


@pytest.mark.parametrize("symbol", ["no.Such", "jobsvc.v1.JobService.NoSuch", "", "."])
async def test_unknown_symbol_is_not_found(channel: aio.Channel, version: str, symbol: str) -> None:
    error = (await _ask(channel, version, file_containing_symbol=symbol)).error_response
    assert error.error_code == grpc.StatusCode.NOT_FOUND.value[0]
