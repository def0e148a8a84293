"""Wraps every handler: checks limits and draining, reads the caller, opens the span of a unary
call, and turns every exception into a status."""

# grpc's own handler types are generic for type checkers only.
from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2
from grpc import aio
from opentelemetry import trace
from opentelemetry.context import Context as TraceContext

from jobsvc import telemetry
from jobsvc.api.admission import Admission, CallLimit, caller_of
from jobsvc.api.auth import CallerReader, Metadata, current_caller
from jobsvc.api.status import status_of
from jobsvc.domain.errors import InvalidRequest, Violation
from jobsvc.domain.methods import Method
from jobsvc.domain.payload import MAX_LEVELS

log = logging.getLogger(__name__)

Context = aio.ServicerContext[Any, Any]

#: The parser does not say which. One level of a Struct is three messages.
UNDECODABLE = (
    "cannot be decoded: it is malformed, or nests deeper than 100 messages"
    f" (a payload may nest {MAX_LEVELS} levels)"
)


class _Unreadable:
    """Stands for a request that is no message of its type."""


class Received(NamedTuple):
    """A message of a request stream, or None if it could not be decoded, and its size on the wire:
    to ask the message for its size would cost more than decoding did."""

    message: Any
    size_bytes: int


class Guard:
    """Wraps every handler of the project's services, once, when they are registered.

    Not an interceptor: gRPC would ask that for the handler anew on every call.
    """

    def __init__(self, admission: Admission, callers: CallerReader, tracer: trace.Tracer) -> None:
        self._admission = admission
        self._callers = callers
        self._tracer = tracer
        self._traced = telemetry.is_traced()
        self._in_progress: set[asyncio.Task[Any]] = set()

    async def until_ended(self, seconds: float) -> None:
        """Waits until the calls in progress now have ended, but at most `seconds`."""
        if self._in_progress:
            await asyncio.wait(list(self._in_progress), timeout=seconds)

    def wrap(self, method: Method, handler: Any) -> grpc.RpcMethodHandler[Any, Any]:
        """Returns the handler of a method, wrapped."""
        decode = _decode_request(handler.request_deserializer)
        encode = handler.response_serializer
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(
                self._unary(method, handler.unary_unary), decode, encode
            )
        if handler.unary_stream:
            limit = self._admission.status_streams
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream, limit), decode, encode
            )
        assert handler.stream_stream is not None, "the contract has no other kind"
        return grpc.stream_stream_rpc_method_handler(
            self._stream(method, handler.stream_stream, self._admission.worker_streams),
            _decode_frame(handler.request_deserializer),
            encode,
        )

    def _unary(self, method: Method, handle: Any) -> Any:
        name = method.full_name
        limit = self._admission.unary_limit(method)

        async def guarded(request: Any, context: Context) -> Any:
            self._note_call()
            metadata: Metadata = context.invocation_metadata() or ()
            with self._span(name, metadata) as span:
                try:
                    caller = caller_of(context.peer())
                    limit.enter(caller)
                    try:
                        self._check(method, request, metadata)
                        return await handle(request, context)
                    finally:
                        limit.leave(caller)
                except aio.AbortError:
                    raise
                except Exception as error:
                    status = _status(error, name, span)
                del request  # see _abort
                return await _abort(context, status)

        return guarded

    def _stream(self, method: Method, handle: Any, limit: CallLimit) -> Any:
        name = method.full_name

        async def guarded(request: Any, context: Context) -> None:
            self._note_call()
            try:
                caller = caller_of(context.peer())
                limit.enter(caller)
                try:
                    self._check(method, request, context.invocation_metadata() or ())
                    await handle(request, context)
                    return
                finally:
                    limit.leave(caller)
            except aio.AbortError:
                raise
            except aio.InternalError:
                return  # A message could not be sent: the caller is gone, nobody can be told.
            except Exception as error:
                status = _status(error, name, trace.INVALID_SPAN)
            del request  # see _abort
            await _abort(context, status)

        return guarded

    def _note_call(self) -> None:
        # gRPC gives each call a task, which ends when the status is sent.
        if (call := asyncio.current_task()) is not None:
            self._in_progress.add(call)
            call.add_done_callback(self._in_progress.discard)

    def _check(self, method: Method, request: Any, metadata: Metadata) -> None:
        """Refuses a call that its handler must not get, and sets the current caller."""
        if isinstance(request, _Unreadable):
            raise InvalidRequest([Violation("request", UNDECODABLE)])
        self._admission.check_draining(method)
        if method.reads_caller:
            current_caller.set(self._callers.read(metadata))

    def _span(self, name: str, metadata: Metadata) -> AbstractContextManager[trace.Span]:
        parent = telemetry.remote_parent(metadata)
        if parent is None and not self._traced:
            return nullcontext(trace.INVALID_SPAN)
        return self._tracer.start_as_current_span(
            name,
            context=parent or TraceContext(),
            kind=trace.SpanKind.SERVER,
            attributes={telemetry.RPC_SYSTEM: "grpc", telemetry.RPC_METHOD: name},
        )


def _decode_request(decode: Any) -> Any:
    """Decodes a request, or says that it cannot: gRPC itself would answer INTERNAL."""

    def decoded(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:
            return _Unreadable()

    return decoded


def _decode_frame(decode: Any) -> Any:
    """Decodes a message of a request stream; `Received` has None for one that cannot be decoded."""

    def decoded(data: bytes) -> Received:
        try:
            return Received(decode(data), len(data))
        except DecodeError:
            return Received(None, len(data))

    return decoded


def _status(error: Exception, name: str, span: trace.Span) -> status_pb2.Status:
    if isinstance(error, NotImplementedError):
        return status_pb2.Status(code=code_pb2.UNIMPLEMENTED, message="not implemented yet")
    trace_id = span.get_span_context().trace_id
    status = status_of(error, f"{trace_id:032x}" if trace_id else "")
    if status.code == code_pb2.INTERNAL:
        log.error("%s failed, trace %032x", name, trace_id, exc_info=error)
    span.set_attribute(telemetry.RPC_STATUS_CODE, code_pb2.Code.Name(status.code))
    return status


async def _abort(context: Context, status: status_pb2.Status) -> None:
    # gRPC keeps the error by which this ends in the call, and the error keeps the frames that it
    # passes, in a cycle. What they hold stays until the collector comes.
    await context.abort(
        _CODES[status.code],
        status.message,
        (("grpc-status-details-bin", status.SerializeToString()),),
    )


_CODES = {code.value[0]: code for code in grpc.StatusCode}
