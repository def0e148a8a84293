"""Server reflection: version 1 beside v1alpha, and methods that can be described.

The package of gRPC has v1alpha only, and the descriptor pool of Python, which it asks, finds
no method by its name. The messages of both versions are the same but for their package.
"""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import grpc
from google.protobuf import text_format
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

T = TypeVar("T")

V1_NAME = "grpc.reflection.v1.ServerReflection"


# Any: a server, or what stands for it when handlers are registered.
def add_reflection(service_names: Iterable[str], server: Any) -> None:
    """Adds both versions, which list these services and themselves."""
    names = (*service_names, reflection.SERVICE_NAME, V1_NAME)
    servicer = reflection.aio.ReflectionServicer(names, pool=_Pool())
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
    handler = grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(V1_NAME, handlers),))


class _Pool:
    """All descriptors of this process, and those of reflection in version 1."""

    def __init__(self) -> None:
        self._all = Default()
        self._v1 = DescriptorPool()
        self._v1.Add(_reflection_v1())

    # Any: whatever else reflection asks a pool.
    def __getattr__(self, name: str) -> Any:
        return getattr(self._all, name)

    def FindFileByName(self, name: str) -> FileDescriptor:  # noqa: N802 - as a pool has it
        """The file of this name; KeyError if there is none."""
        return self._first(lambda pool: pool.FindFileByName(name))

    def FindFileContainingSymbol(self, symbol: str) -> FileDescriptor:  # noqa: N802
        """The file that defines a symbol, a method included; KeyError if none does."""
        try:
            return self._first(lambda pool: pool.FindFileContainingSymbol(symbol))
        except KeyError:
            method = self._first(lambda pool: pool.FindMethodByName(symbol))
            return method.containing_service.file

    def _first(self, find: Callable[[DescriptorPool], T]) -> T:
        try:
            return find(self._all)
        except KeyError:
            return find(self._v1)


def _reflection_v1() -> FileDescriptorProto:
    """The file of version 1, which differs from v1alpha in its names."""
    file = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(file)
    text = text_format.MessageToString(file)
    text = text.replace("grpc.reflection.v1alpha", "grpc.reflection.v1")
    text = text.replace("grpc_reflection/v1alpha/", "grpc/reflection/v1/")
    return text_format.Parse(text, FileDescriptorProto())
