"""A server that speaks the contract and answers from a script."""

import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from jobsvc.v1 import job_service_pb2, queue_service_pb2

_METHODS = {
    f"{service.full_name}/{method.name}": method
    for file in (job_service_pb2.DESCRIPTOR, queue_service_pb2.DESCRIPTOR)
    for service in file.services_by_name.values()
    for method in service.methods
}


@dataclass(frozen=True)
class Failure:
    """A status that the peer ends a call with; as some proxies do, without details if it is
    `bare`, or under another code, `sent_as`."""

    code: grpc.StatusCode
    message: str = "as scripted"
    reason: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    details: tuple[Any, ...] = ()
    bare: bool = False
    sent_as: grpc.StatusCode | None = None

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """Returns the status with its details, as the server sends it."""
        if self.bare:
            return ()
        info = error_details_pb2.ErrorInfo(
            domain="jobsvc", reason=self.reason, metadata=self.metadata
        )
        packed = [any_pb2.Any() for _ in range(1 + len(self.details))]
        for box, detail in zip(packed, (info, *self.details), strict=True):
            box.Pack(detail)
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=packed)
        return (("grpc-status-details-bin", status.SerializeToString()),)


#: In a scripted stream: say nothing until the client goes away.
HANG = object()


@dataclass
class Call:
    """A call that the peer received; `path` is service and method, `method` the latter alone,
    `peer` the other end of its connection."""

    path: str
    method: str
    request: Any
    metadata: dict[str, str]
    seconds_left: float
    peer: str


class Peer(grpc.GenericRpcHandler):
    """Notes each call, then gives the next scripted answer: a reply, a Failure, or a function.

    The answer of a stream is an iterable of replies, Failures and HANG. The
    last answer of a method is given again and again.
    """

    def __init__(self) -> None:
        self.target = ""
        self.calls: list[Call] = []
        self._answers: dict[str, deque[Any]] = defaultdict(deque)
        # As a server that does not know it.
        self._answers["Submit"].append([Failure(grpc.StatusCode.UNIMPLEMENTED, bare=True)])

    def answer(self, method: str, *answers: Any) -> None:
        """Adds to the script of a method."""
        if method == "Submit":
            self._answers[method].clear()
        self._answers[method].extend(answers)

    def requests(self, method: str) -> list[Any]:
        """Returns the requests that a method received, in order."""
        return [call.request for call in self.calls if call.method == method]

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """Serves every method of the contract."""
        path = details.method.removeprefix("/")
        method = _METHODS[path]
        handle = self._stream if method.server_streaming else self._unary
        wrap = (
            grpc.stream_stream_rpc_method_handler  # Its requests are not read.
            if method.client_streaming
            else grpc.unary_stream_rpc_method_handler
            if method.server_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return wrap(
            partial(handle, path),
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )

    def _next(self, path: str, request: Any, context: grpc.ServicerContext) -> Any:
        method = path.rpartition("/")[2]
        metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
        left = context.time_remaining() or 0.0
        self.calls.append(Call(path, method, request, metadata, left, context.peer()))
        script = self._answers[method]
        answer = script.popleft() if len(script) > 1 else script[0]
        return answer(request) if callable(answer) else answer

    def _unary(self, path: str, request: Any, context: grpc.ServicerContext) -> Any:
        answer = self._next(path, request, context)
        if isinstance(answer, Failure):
            _refuse(context, answer)
        return answer

    def _stream(self, path: str, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        for item in self._next(path, request, context):
            if item is HANG:
                gone = threading.Event()
                if context.add_callback(gone.set):
                    gone.wait(30)
                return
            if isinstance(item, Failure):
                _refuse(context, item)
            yield item


def _refuse(context: grpc.ServicerContext, failure: Failure) -> None:
    context.set_trailing_metadata(failure.trailers())
    context.abort(failure.sent_as or failure.code, failure.message)
