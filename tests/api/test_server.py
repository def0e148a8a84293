"""The standard services on the same port: reflection and channelz. Health is in test_drain."""

import grpc
from google.protobuf import descriptor_pb2
from grpc import aio
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from jobsvc.api.server import SERVICES
from tests.api.support.fixtures import Create


async def _ask(
    channel: aio.Channel, request: reflection_pb2.ServerReflectionRequest
) -> reflection_pb2.ServerReflectionResponse:
    call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
    await call.write(request)
    await call.done_writing()
    return await call.read()


async def test_reflection_lists_every_service(channel: aio.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    listed = (await _ask(channel, request)).list_services_response.service
    assert {service.name for service in listed} == {
        *SERVICES,
        "grpc.health.v1.Health",
        "grpc.channelz.v1.Channelz",
        "grpc.reflection.v1alpha.ServerReflection",
    }


async def test_reflection_describes_the_contract(channel: aio.Channel) -> None:
    for symbol in (*SERVICES, "jobsvc.v1.Payload", "google.rpc.Status"):
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
        files = (await _ask(channel, request)).file_descriptor_response.file_descriptor_proto
        file = descriptor_pb2.FileDescriptorProto.FromString(files[0])
        names = [f"{file.package}.{item.name}" for item in (*file.service, *file.message_type)]
        assert symbol in names


async def test_channelz_counts_calls(create: Create, channel: aio.Channel) -> None:
    await create()
    channelz = channelz_pb2_grpc.ChannelzStub(channel)
    servers = (await channelz.GetServers(channelz_pb2.GetServersRequest())).server
    assert any(server.data.calls_succeeded >= 1 for server in servers)


async def test_unknown_symbol_is_not_found(channel: aio.Channel) -> None:
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol="no.Such")
    error = (await _ask(channel, request)).error_response
    assert error.error_code == grpc.StatusCode.NOT_FOUND.value[0]
